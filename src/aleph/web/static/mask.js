// The selection, which is the hole to fill: a byte per pixel, and a canvas that is drawn on.

import { narrowed, widened } from "./widen.js";

export const PAINT = "#ff3d71";
const OPAQUE = new Uint32Array(Uint8Array.of(0xff, 0x3d, 0x71, 0xff).buffer)[0]; // the same, as four bytes

export class Mask {
  /**
   * `picture` is the box that the picture takes of it: what lies beyond is selected, once something
   * is put into the mask, and stays so.
   */
  constructor(width, height, picture = { x: 0, y: 0, width, height }) {
    this.width = width;
    this.height = height;
    this.picture = picture;
    this.beyond = width * height - picture.width * picture.height; // pixels
    this.pixels = new Uint8Array(width * height);
    this.count = 0;
    this.canvas = new OffscreenCanvas(width, height);
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.dirty = null;
    this.version = 0; // counts the changes
  }

  /** Memory that it takes. */
  get bytes() {
    return 5 * this.pixels.length;
  }

  get empty() {
    return this.count === 0;
  }

  get full() {
    return this.count === this.pixels.length;
  }

  /** Draw a piece of a stroke; `commit` makes it count. */
  stroke(from, to, radius, erase) {
    const context = this.begin(erase);
    context.lineWidth = 2 * radius;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
    this.touch([from, to], radius + 1);
  }

  /** Draw a filled polygon. */
  polygon(points, erase) {
    const context = this.begin(erase);
    context.beginPath();
    for (const { x, y } of points) context.lineTo(x, y);
    context.fill();
    this.touch(points, 1);
  }

  begin(erase) {
    this.context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    this.context.strokeStyle = this.context.fillStyle = PAINT;
    return this.context;
  }

  touch(points, margin) {
    const xs = points.map((p) => p.x);
    const ys = points.map((p) => p.y);
    const box = this.dirty ?? { left: Infinity, top: Infinity, right: 0, bottom: 0 };
    box.left = Math.max(0, Math.min(box.left, Math.floor(Math.min(...xs) - margin)));
    box.top = Math.max(0, Math.min(box.top, Math.floor(Math.min(...ys) - margin)));
    box.right = Math.min(this.width, Math.max(box.right, Math.ceil(Math.max(...xs) + margin)));
    box.bottom = Math.min(this.height, Math.max(box.bottom, Math.ceil(Math.max(...ys) + margin)));
    this.dirty = box;
  }

  /** Take what was drawn; returns the patch, or null where nothing has changed. */
  commit() {
    const box = this.takeDirty();
    if (!box) return null;
    const drawn = this.context.getImageData(box.x, box.y, box.width, box.height).data;
    const after = new Uint8Array(box.width * box.height);
    for (let i = 0; i < after.length; i++) after[i] = drawn[4 * i + 3] >= 128 ? 1 : 0;
    return this.change(box, after);
  }

  /** Drop what was drawn. */
  revert() {
    const box = this.takeDirty();
    if (box) this.write(box, this.read(box));
  }

  takeDirty() {
    const box = this.dirty;
    this.dirty = null;
    if (!box || box.right <= box.left || box.bottom <= box.top) return null;
    return { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
  }

  /** Replace every pixel; returns the patch, or null. */
  replace(pixels) {
    return this.change({ x: 0, y: 0, width: this.width, height: this.height }, pixels);
  }

  clear() {
    return this.replace(new Uint8Array(this.pixels.length));
  }

  invert() {
    return this.replace(this.pixels.map((value) => 1 - value));
  }

  /** Widen it by a number of pixels on all sides. */
  grow(pixels) {
    return this.replace(widened(this.pixels, this.width, this.height, pixels));
  }

  /** Narrow it by a number of pixels on all sides, but not where it reaches the border. */
  shrink(pixels) {
    return this.replace(narrowed(this.pixels, this.width, this.height, pixels));
  }

  /** Its pixels on a canvas of another size, moved; what it does not cover is not selected. */
  moved(dx, dy, width, height) {
    const pixels = new Uint8Array(width * height);
    const { x, y, width: across, height: down } = this.picture;
    for (let row = Math.max(0, -y - dy); row < Math.min(down, height - y - dy); row++) {
      const start = (y + row) * this.width + x;
      pixels.set(this.pixels.subarray(start, start + across), (y + dy + row) * width + x + dx);
    }
    return pixels;
  }

  /** Its pixels with those of the picture that are marked, in addition to what is selected or not. */
  with(marked, added = true) {
    const { x, y, width, height } = this.picture;
    const pixels = added ? this.pixels.slice() : new Uint8Array(this.pixels.length);
    for (let row = 0; row < height; row++) {
      const start = (y + row) * this.width + x;
      for (let column = 0; column < width; column++) pixels[start + column] |= marked[row * width + column];
    }
    return pixels;
  }

  /** Which share of a square is selected; what lies beyond the picture is not. */
  share(left, top, side) {
    let count = 0;
    const [first, last] = [Math.max(0, Math.round(left)), Math.min(this.width, Math.round(left + side))];
    for (let y = Math.max(0, Math.round(top)); y < Math.min(this.height, Math.round(top + side)); y++) {
      for (let x = first; x < last; x++) count += this.pixels[y * this.width + x];
    }
    return count / (side * side);
  }

  /** The smallest box around it: [left, top, right, bottom], or null where it is empty. */
  box() {
    let [left, top, right, bottom] = [this.width, -1, 0, 0];
    for (let y = 0; y < this.height; y++) {
      const row = this.pixels.subarray(y * this.width, (y + 1) * this.width);
      const first = row.indexOf(1);
      if (first < 0) continue;
      if (top < 0) top = y;
      bottom = y + 1;
      left = Math.min(left, first);
      right = Math.max(right, row.lastIndexOf(1) + 1);
    }
    return top < 0 ? null : [left, top, right, bottom];
  }

  change(box, after) {
    const before = this.read(box);
    if (this.beyond) this.selectBeyond(box, after);
    this.write(box, after);
    if (before.every((value, i) => value === after[i])) return null;
    return { box, before, after, bytes: 2 * after.length };
  }

  /** Select what lies beyond the picture among the pixels of a box. */
  selectBeyond(box, pixels) {
    const { x, y, width, height } = this.picture;
    const [first, last] = [x - box.x, x + width - box.x].map((at) => Math.min(Math.max(at, 0), box.width));
    for (let row = 0; row < box.height; row++) {
      const start = row * box.width;
      const inside = box.y + row >= y && box.y + row < y + height;
      pixels.fill(1, start, start + (inside ? first : box.width));
      if (inside) pixels.fill(1, start + last, start + box.width);
    }
  }

  read({ x, y, width, height }) {
    const values = new Uint8Array(width * height);
    for (let row = 0; row < height; row++) {
      const start = (y + row) * this.width + x;
      values.set(this.pixels.subarray(start, start + width), row * width);
    }
    return values;
  }

  write({ x, y, width, height }, values) {
    this.version++;
    const image = new ImageData(width, height);
    const colours = new Uint32Array(image.data.buffer);
    for (let row = 0; row < height; row++) {
      const start = (y + row) * this.width + x;
      for (let column = 0; column < width; column++) {
        const i = row * width + column;
        this.count += values[i] - this.pixels[start + column];
        this.pixels[start + column] = values[i];
        if (values[i]) colours[i] = OPAQUE;
      }
    }
    this.context.putImageData(image, x, y);
  }

  /** As a PNG, white = missing, at most `side` pixels long; of a part of it, if that is given. */
  async png({ side = Infinity, part = { x: 0, y: 0, width: this.width, height: this.height } } = {}) {
    const shrink = Math.min(1, side / Math.max(part.width, part.height));
    const width = Math.max(1, Math.round(part.width * shrink));
    const height = Math.max(1, Math.round(part.height * shrink));
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    context.drawImage(this.canvas, part.x, part.y, part.width, part.height, 0, 0, width, height);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    return canvas.convertToBlob({ type: "image/png" });
  }
}

/** Read a picture as the pixels of a mask of this size: light = missing. */
export function maskPixels(bitmap, width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(bitmap, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const light = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
    return light >= 127.5 ? 1 : 0;
  });
}
