// Widens a selection: every pixel within a distance of a selected one becomes selected.

/** `pixels` holds a byte per pixel, 1 = selected; returns new ones. */
export function widened(pixels, width, height, distance) {
  const result = new Uint8Array(pixels.length);
  const wide = new Uint8Array(width);
  for (let dy = 0; dy <= distance; dy++) {
    const reach = Math.floor(Math.sqrt(distance * distance - dy * dy));
    for (let y = 0; y < height; y++) {
      const row = pixels.subarray(y * width, (y + 1) * width);
      if (!row.includes(1)) continue;
      widenRow(row, wide, reach);
      for (const target of dy ? [y - dy, y + dy] : [y]) {
        if (target >= 0 && target < height) merge(result, target * width, wide);
      }
    }
  }
  return result;
}

function widenRow(row, wide, reach) {
  wide.fill(0);
  let last = -Infinity; // the last selected pixel
  for (let x = 0; x < row.length; x++) {
    if (row[x]) {
      if (x - last > 1) wide.fill(1, Math.max(0, x - reach), x);
      last = x;
    }
    if (x - last <= reach) wide[x] = 1;
  }
}

function merge(result, start, wide) {
  for (let x = 0; x < wide.length; x++) result[start + x] |= wide[x];
}
