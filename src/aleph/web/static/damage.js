// Finds damage: what is damaged more likely than the slider says is selected.

import * as api from "./api.js";
import { widened } from "./widen.js";

const RIM = 2; // pixels by which what was found is widened, as by `--mask auto`

export class DamageFinder {
  found = null; // {base, likely}: 0 to 255 per pixel of the picture
  change = null; // the last selection made of it, which the slider replaces

  constructor(editor) {
    this.editor = editor;
  }

  /** Whether the slider has something to work on. */
  get ready() {
    return Boolean(this.found) && this.found.base === this.editor.base && !this.editor.fill;
  }

  /** Look at the picture, and select what is found at this sensitivity, 0 to 1. */
  async find(sensitivity, signal) {
    const { editor } = this;
    const { base } = editor;
    const { width, height } = base;
    const bitmap = await createImageBitmap(await api.damage(base.blob, signal), {
      colorSpaceConversion: "none",
    });
    if (editor.base !== base) return 0;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    this.found = { base, likely: Uint8Array.from({ length: width * height }, (_, i) => data[4 * i]) };
    this.change = null;
    return this.select(sensitivity);
  }

  /** Select anew; returns how many pixels are. What was painted by hand since then stays. */
  select(sensitivity) {
    if (!this.ready) return 0;
    const { editor } = this;
    const { history } = editor;
    if (this.change && history.done.at(-1) === this.change) {
      history.undo();
      history.undone.pop();
    }
    const least = Math.max(1, Math.ceil(255 * (1 - sensitivity)));
    const { likely } = this.found;
    const count = likely.reduce((sum, value) => sum + (value >= least), 0);
    const { mask, base } = editor;
    const marked = widened(likely.map((value) => Number(value >= least)), base.width, base.height, RIM);
    this.change = editor.noteMask(mask.replace(mask.with(marked)));
    return count;
  }
}
