// Where the picture lies on the stage: zoom and pan, in CSS pixels.

const CLOSEST = 64;

export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.width = this.height = 1;
    this.scale = 1;
    this.x = this.y = 0;
    this.origin = { x: 0, y: 0 };
    this.room = 0; // left free on all sides of a picture that is shown whole, in its own sides
    this.fitted = true;
  }

  get stage() {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  get fitting() {
    const { width, height } = this.stage;
    const margin = Math.min(24, width / 20);
    const wide = 1 + 2 * this.room;
    const fits = Math.min((width - 2 * margin) / this.width, (height - 2 * margin) / this.height) / wide;
    return Math.max(fits, 1e-3);
  }

  /** Show a picture of this size, whole. */
  show(width, height) {
    Object.assign(this, { width, height });
    this.fit();
  }

  /** The picture has this size now, and its old origin lies here: what is shown stays in its place. */
  become(width, height, origin) {
    const { x, y } = this.origin;
    if (width === this.width && height === this.height && origin.x === x && origin.y === y) return;
    this.x -= (origin.x - x) * this.scale;
    this.y -= (origin.y - y) * this.scale;
    Object.assign(this, { width, height, origin });
    if (this.fitted) this.fit();
    else this.keepInSight();
  }

  /** Leave room around the picture, or no more. */
  spare(room) {
    if (room === this.room) return;
    const whole = this.fitted || room > 0;
    this.room = room;
    if (whole) this.fit();
  }

  fit() {
    const { width, height } = this.stage;
    this.scale = this.fitting;
    this.x = (width - this.width * this.scale) / 2;
    this.y = (height - this.height * this.scale) / 2;
    this.fitted = true;
  }

  /** The stage has a new size. */
  resized() {
    if (this.fitted) this.fit();
    else this.keepInSight();
  }

  /** Zoom by a factor; the picture's point below (x, y) stays there. */
  zoom(factor, x = this.stage.width / 2, y = this.stage.height / 2) {
    const wanted = this.scale * factor;
    const scale = Math.min(Math.max(wanted, this.fitting / 4), Math.max(CLOSEST, this.fitting));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.keepInSight();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.keepInSight();
  }

  keepInSight() {
    const { width, height } = this.stage;
    const keep = 48;
    this.x = Math.min(Math.max(this.x, keep - this.width * this.scale), width - keep);
    this.y = Math.min(Math.max(this.y, keep - this.height * this.scale), height - keep);
  }

  /** From CSS pixels on the stage to pixels of the picture. */
  toPicture({ x, y }) {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  /** Let a context draw in pixels of the picture. */
  apply(context, ratio) {
    const scale = this.scale * ratio;
    context.setTransform(scale, 0, 0, scale, this.x * ratio, this.y * ratio);
  }
}
