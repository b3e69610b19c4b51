// Widens a selection: every pixel within a distance of a selected one becomes selected.
// First down the columns, then along the rows, so that the time does not grow with the distance.

/** `pixels` holds a byte per pixel, 1 = selected; returns new ones. */
export function widened(pixels, width, height, distance) {
  const away = inColumns(pixels, width, height, Math.floor(distance) + 1);
  // How far along its row a pixel selects, by how far the nearest selected one of its column is.
  const reach = Array.from({ length: distance + 1 }, (_, dy) => Math.floor(Math.sqrt(distance * distance - dy * dy)));
  reach.push(-1);
  const result = new Uint8Array(pixels.length);
  for (let start = 0; start < result.length; start += width) {
    for (let x = 0, last = -1; x < width; x++) {
      last = Math.max(last, x + reach[away[start + x]]);
      if (x <= last) result[start + x] = 1;
    }
    for (let x = width - 1, first = width; x >= 0; x--) {
      first = Math.min(first, x - reach[away[start + x]]);
      if (x >= first) result[start + x] = 1;
    }
  }
  return result;
}

/** Narrows it by a distance, but not where it reaches the border. */
export function narrowed(pixels, width, height, distance) {
  const rest = pixels.map((value) => 1 - value);
  return widened(rest, width, height, distance).map((value) => 1 - value);
}

/** How far the nearest selected pixel of the same column is, `far` at most. */
function inColumns(pixels, width, height, far) {
  const away = new Uint16Array(pixels.length);
  for (let i = 0; i < away.length; i++) {
    away[i] = pixels[i] ? 0 : i < width ? far : Math.min(far, away[i - width] + 1);
  }
  for (let i = away.length - width - 1; i >= 0; i--) {
    away[i] = Math.min(away[i], away[i + width] + 1);
  }
  return away;
}
