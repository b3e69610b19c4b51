// Finds damage: what is damaged more likely than the slider says is selected.

import * as api from "./api.js";
import { narrowed, widened } from "./widen.js";

const LOOKING = "Looking for damage…";
const FOUND = "Selected what looks damaged. Move the slider for more or less of it; correct it by brush and eraser.";
const NOT_FOUND = "No damage was found. Move the slider to the right, or paint over it.";
const RIM = 2; // pixels by which thin damage that was found is widened, as by `--mask auto`
const WIDE_RIM = 4; // and wide damage,
const WIDENED = 320; // in pictures whose shorter side has so many pixels or more
const LARGE = 1_100_000; // pixels of a picture from which on both grow with its sides

/** Widen what was found; the twin of `with_rim` in aleph/damage/auto.py. */
function withRim(found, { width, height }) {
  const scale = Math.max(1, Math.sqrt((width * height) / LARGE));
  const [thin, wide] = [RIM, WIDE_RIM].map((pixels) => Math.floor(scale * pixels + 0.5));
  const rim = widened(found, width, height, thin);
  if (Math.min(width, height) < WIDENED) return rim;
  const cores = narrowed(found, width, height, wide);
  const more = widened(cores, width, height, 2 * wide);
  return rim.map((value, i) => value | more[i]);
}

export class DamageFinder {
  running = null; // an AbortController, with the picture that is looked at
  found = null; // {base, likely}: 0 to 255 per pixel of the picture
  count = 0; // pixels that were found
  change = null; // the last selection made of it, which the slider replaces

  constructor(editor) {
    this.editor = editor;
  }

  /** Whether the slider has something to work on. */
  get ready() {
    return Boolean(this.found) && this.found.base === this.editor.base && !this.editor.fill;
  }

  /** What is to be said of it. */
  get note() {
    if (this.running) return LOOKING;
    if (!this.ready) return "";
    return this.count ? FOUND : NOT_FOUND;
  }

  /** The picture may be another one now: nobody waits for what is found in the old one. */
  changed() {
    if (this.running && this.running.base !== this.editor.base) this.cancel();
  }

  cancel() {
    this.running?.abort();
    this.running = null;
  }

  /** Look at the picture, and select what is found at this sensitivity, 0 to 1. */
  async find(sensitivity) {
    const { base } = this.editor;
    const running = (this.running = Object.assign(new AbortController(), { base }));
    this.editor.changed();
    try {
      const found = await api.damage(base.blob, running.signal);
      const bitmap = await createImageBitmap(found, { colorSpaceConversion: "none" });
      if (running === this.running) this.take(base, bitmap, sensitivity);
    } finally {
      if (running === this.running) this.cancel();
      this.editor.changed();
    }
  }

  take(base, bitmap, sensitivity) {
    const { width, height } = base;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    this.found = { base, likely: Uint8Array.from({ length: width * height }, (_, i) => data[4 * i]) };
    this.change = null;
    this.select(sensitivity);
  }

  /** Select anew. What was painted by hand since then stays. */
  select(sensitivity) {
    if (!this.ready) return;
    const { editor } = this;
    const { history } = editor;
    if (this.change && history.done.at(-1) === this.change) {
      history.undo();
      history.undone.pop();
    }
    const least = Math.max(1, Math.ceil(255 * (1 - sensitivity)));
    const { likely } = this.found;
    this.count = likely.reduce((sum, value) => sum + (value >= least), 0);
    const { mask, base } = editor;
    const marked = withRim(likely.map((value) => Number(value >= least)), base);
    this.change = editor.noteMask(mask.replace(mask.with(marked)));
  }
}
