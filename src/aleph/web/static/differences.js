// Where the fills of a hole differ most: there their small pictures are worth looking at.

const SIDE = 128; // pixels of the pictures that are compared: grain is averaged away
const NOISE = 36; // of the three channels together, up to which a difference is not seen
const FEW = 0.002; // of the hole, up to which results hardly differ
const MOST = 0.7; // share of all differences that the shown part holds, where one does
const PARTS = [1 / 8, 1 / 4]; // of the longer side, that are tried
const LEAST = 32; // pixels of the picture, that a part has at least
const MARGIN = 0.2; // of the part, shown on all sides of it

/**
 * The smallest of some squares of an area that holds most of the differences in the hole, as [left,
 * top, right, bottom]; the fullest of the largest squares where none does, null where the fills
 * hardly differ.
 */
export async function differing(candidates, mask, area) {
  const query = { side: SIDE, area: area.join(",") };
  const pictures = await Promise.all(
    candidates.map(async (one) => createImageBitmap(await one.small(query))),
  );
  const { width, height } = pictures[0];
  const hole = holeIn(mask, area, width, height);
  const differs = differences(pictures, hole);
  const [missing, seen] = [hole, differs].map((values) => values.filter(Boolean).length);
  if (seen <= FEW * missing) return null;
  const sums = integral(differs, width, height);
  const scale = (area[2] - area[0]) / width;
  for (const part of PARTS) {
    const side = Math.max(Math.round(part * Math.max(width, height)), Math.ceil(LEAST / scale));
    const [across, down] = [Math.min(side, width), Math.min(side, height)];
    const best = fullest(sums, width, height, across, down);
    const enough = best.sum >= MOST * sums.at(-1) || part === PARTS.at(-1);
    if (enough) return placed(best, across, down, scale, area);
  }
}

/** The hole in an area, shrunk: a byte per pixel, 0 where nothing is missing. */
function holeIn(mask, [left, top, right, bottom], width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(mask.canvas, left, top, right - left, bottom - top, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return Uint8Array.from({ length: width * height }, (_, i) => data[4 * i + 3]);
}

/** How much each pixel of the hole differs from the first picture in the one where it does most. */
function differences(pictures, hole) {
  const { width, height } = pictures[0];
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  const [first, ...others] = pictures.map((picture) => {
    context.drawImage(picture, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  });
  const most = new Float64Array(width * height);
  for (const other of others) {
    for (let i = 0; i < most.length; i++) {
      if (!hole[i]) continue;
      let sum = 0;
      for (let k = 4 * i; k < 4 * i + 3; k++) sum += Math.abs(other[k] - first[k]);
      if (sum > NOISE) most[i] = Math.max(most[i], sum);
    }
  }
  return most;
}

/** Sums over all that lies above and left, with a row and a column of zeros in front. */
function integral(values, width, height) {
  const sums = new Float64Array((width + 1) * (height + 1));
  for (let y = 0; y < height; y++) {
    let row = 0;
    for (let x = 0; x < width; x++) {
      row += values[y * width + x];
      sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
    }
  }
  return sums;
}

function fullest(sums, width, height, across, down) {
  const at = (x, y) => sums[y * (width + 1) + x];
  let best = { x: 0, y: 0, sum: -1 };
  for (let y = 0; y + down <= height; y++) {
    for (let x = 0; x + across <= width; x++) {
      const sum = at(x + across, y + down) - at(x, y + down) - at(x + across, y) + at(x, y);
      if (sum > best.sum) best = { x, y, sum };
    }
  }
  return best;
}

/** A part with its margin, in pixels of the picture. */
function placed({ x, y }, across, down, scale, [left, top, right, bottom]) {
  const margin = MARGIN * Math.max(across, down);
  return [
    Math.max(left, Math.floor(left + (x - margin) * scale)),
    Math.max(top, Math.floor(top + (y - margin) * scale)),
    Math.min(right, Math.ceil(left + (x + across + margin) * scale)),
    Math.min(bottom, Math.ceil(top + (y + down + margin) * scale)),
  ];
}
