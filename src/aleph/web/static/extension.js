// How far the canvas goes beyond the photo: pixels at each side, all of them to be filled.

export const SIDES = ["left", "top", "right", "bottom"];
export const NONE = { left: 0, top: 0, right: 0, bottom: 0 };

const MOST = 1; // how far at each side, in the photo's own sides, as the server has it
const PARTS = 1000; // of a per cent, in which the server is told

export const isNone = (extension) => SIDES.every((side) => !extension[side]);

/** The length of a photo along which a side lies across: what shares of it are counted in. */
const along = (side, { width, height }) => (side === "left" || side === "right" ? width : height);

export const widened = ({ width, height }, { left, top, right, bottom }) => ({
  width: width + left + right,
  height: height + top + bottom,
});

/**
 * Whole pixels, at each side no more than the photo has, and no more in all than `pixels`: where
 * it would be, the sides in `changed` give way.
 */
export function bounded(wanted, photo, pixels, changed = SIDES) {
  const within = (side) => Math.min(Math.max(Math.round(wanted[side]) || 0, 0), MOST * along(side, photo));
  const bounds = Object.fromEntries(SIDES.map((side) => [side, within(side)]));
  for (const side of changed) {
    const { width, height } = widened(photo, bounds);
    const line = along(side, { width: height, height: width });
    const over = Math.ceil((width * height - pixels) / line);
    if (over > 0) bounds[side] = Math.max(0, bounds[side] - over);
  }
  return bounds;
}

/** The extension, alike at both sides, that gives a photo a shape: width / height. */
export function shaped(photo, ratio) {
  const { width, height } = photo;
  const across = Math.max(0, Math.round(height * ratio) - width);
  const down = Math.max(0, Math.round(width / ratio) - height);
  const half = (pixels) => [Math.floor(pixels / 2), Math.ceil(pixels / 2)];
  const [[left, right], [top, bottom]] = [half(across), half(down)];
  return { left, top, right, bottom };
}

/** The extension as the server is told: `left=12.5%` for each side. It rounds up to whole pixels. */
export function asShares(extension, photo) {
  return SIDES.filter((side) => extension[side]).map((side) => {
    const share = Math.floor((100 * PARTS * extension[side]) / along(side, photo)) / PARTS;
    return `${side}=${Math.max(share, 1 / PARTS)}%`;
  });
}
