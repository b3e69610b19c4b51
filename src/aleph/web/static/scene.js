// Draws the stage: picture, hole, previews, fills, overlays, cursor.

import { NONE } from "./extension.js";
import { PAINT } from "./mask.js";
import { CROSS } from "./tools.js";

const TINT = 0.55;
const MARK = 8; // CSS pixels, radius of a knob
const PREVIEW_SIDE = 1024;
const SMOOTH_BELOW = 12;
const LETTER = 13; // CSS pixels, size of the words on the stage

export class Scene {
  previews = null; // [{picture, corners}] of the running search
  weights = null; // a bitmap
  frames = []; // [[{x, y} × 4], …]
  compare = 1; // share of the picture, from the left, that shows the state after
  cursor = null; // {x, y, radius} in pixels of the picture
  tool = null;
  searching = false;

  constructor(canvas, view, editor) {
    Object.assign(this, { canvas, view, editor });
    this.context = canvas.getContext("2d");
    this.pending = false;
  }

  /** Draw before the next frame is shown. */
  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.paint();
    });
  }

  paint() {
    const { canvas, context, view, editor } = this;
    const ratio = devicePixelRatio;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!editor.picture) return;
    view.apply(context, ratio);
    context.imageSmoothingEnabled = view.scale * ratio < SMOOTH_BELOW;
    context.imageSmoothingQuality = "high";
    this.picture();
    this.overlays();
    this.marks();
  }

  picture() {
    const { context, editor } = this;
    const { width, height, base, extension, picture, origin } = editor;
    if (editor.fill) context.drawImage(editor.bitmap, 0, 0, width, height);
    else context.drawImage(base.bitmap, extension.left, extension.top, base.width, base.height);
    if (this.previews) context.drawImage(this.composed(), 0, 0, width, height);
    if (!editor.fill || this.compare === 1) return;
    const x = width * this.compare;
    context.save();
    context.beginPath();
    context.rect(x, 0, width - x, height);
    context.clip();
    context.clearRect(x, 0, width - x, height); // what extends the photo was nothing before
    context.drawImage(picture.bitmap, origin.x, origin.y, picture.width, picture.height);
    context.restore();
    if (this.compare > 0) this.border(x, height);
  }

  /** The border between after, at its left, and before. */
  border(x, height) {
    const { view } = this;
    this.line([{ x, y: 0 }, { x, y: height }]);
    const gap = LETTER / view.scale;
    this.label("After", x - gap, gap, 1);
    this.label("Before", x + gap, gap, 0);
  }

  /** Words below a point; `share` of them, 0 to 1, lies left of it. */
  label(words, x, y, share) {
    const { context, view } = this;
    const size = LETTER / view.scale;
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    const [width, pad] = [context.measureText(words).width, 0.5 * size];
    const left = x - share * width + (1 - 2 * share) * pad;
    context.fillStyle = "#000a";
    context.beginPath();
    context.roundRect(left - pad, y, width + 2 * pad, 1.6 * size, 0.4 * size);
    context.fill();
    context.fillStyle = "#fff";
    context.fillText(words, left, y + 0.85 * size);
  }

  /** The previews, cut to the hole. */
  composed() {
    const { width, height } = this.editor;
    const scale = Math.min(1, PREVIEW_SIDE / Math.max(width, height));
    const canvas = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
    const context = canvas.getContext("2d");
    for (const { picture, corners } of this.previews) {
      const [a, b, , d] = corners;
      const side = picture.naturalWidth;
      const slope = (to, i) => ((to[i] - a[i]) / side) * scale;
      context.setTransform(
        slope(b, 0), slope(b, 1), slope(d, 0), slope(d, 1), a[0] * scale, a[1] * scale,
      );
      context.drawImage(picture, 0, 0);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalCompositeOperation = "destination-in";
    context.drawImage(this.editor.mask.canvas, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  overlays() {
    const { context, editor, weights } = this;
    const { width, height, mask, fill } = editor;
    if (this.previews) return;
    if (weights && !fill) context.drawImage(weights, 0, 0, width, height);
    const { x, y, width: across, height: down } = mask.picture;
    context.globalAlpha = TINT;
    if (!fill) context.drawImage(mask.canvas, x, y, across, down, x, y, across, down);
    context.fillStyle = PAINT;
    this.ring(this.canvasBox(), fill ? { x: 0, y: 0, width, height } : mask.picture);
    context.globalAlpha = 1;
  }

  /** The canvas as it is, or will be when the border that is dragged is let go. */
  canvasBox() {
    const { editor, tool } = this;
    const { width, height } = editor;
    const now = editor.fill ? NONE : editor.extension;
    const { left, top, right, bottom } = tool?.wanted ?? now;
    const [x, y] = [now.left - left, now.top - top];
    return { x, y, width: width - now.right + right - x, height: height - now.bottom + bottom - y };
  }

  /** Fill a box but for another one inside it. */
  ring(outer, inner) {
    const { context } = this;
    context.beginPath();
    for (const { x, y, width, height } of [outer, inner]) context.rect(x, y, width, height);
    context.fill("evenodd");
  }

  /** The borders that are dragged, and the size that the picture will have. */
  borders() {
    const { x, y, width, height } = this.canvasBox();
    const [right, bottom, size] = [x + width, y + height, MARK / this.view.scale];
    const corners = [{ x, y }, { x: right, y }, { x: right, y: bottom }, { x, y: bottom }];
    this.line([...corners, corners[0]]);
    corners.forEach((corner, i) => {
      const next = corners[(i + 1) % 4];
      this.circle(corner.x, corner.y, size, "#000a");
      if (Math.abs(next.x - corner.x) + Math.abs(next.y - corner.y) < 8 * size) return;
      this.circle((corner.x + next.x) / 2, (corner.y + next.y) / 2, size, "#000a");
    });
    this.label(`${width} × ${height}`, x + width / 2, bottom + 2 * size, 0.5);
  }

  marks() {
    const { context, view, tool, cursor, editor } = this;
    const framing = tool?.framing && !this.searching && !editor.fill;
    if (!editor.fill) for (const corners of this.frames) this.line([...corners, corners[0]], framing ? [] : [6, 4]);
    if (framing) this.handles();
    if (tool?.extending && !this.searching) this.borders();
    if (tool?.first) this.circle(tool.first.x, tool.first.y, MARK / view.scale);
    if (tool) {
      context.beginPath();
      tool.trace(context);
      this.outline([5, 4]);
    }
    if (cursor && !this.searching) this.circle(cursor.x, cursor.y, cursor.radius);
  }

  /** What frames are held by: knobs at their corners, a cross at one; and where the eyes lie. */
  handles() {
    const size = MARK / this.view.scale;
    for (const { corners, eyes } of this.editor.frames) {
      for (const { x, y } of eyes) this.circle(x, y, size / 2);
      corners.forEach(({ x, y }, corner) => {
        this.circle(x, y, size, "#000a");
        if (corner !== CROSS) return;
        for (const way of [-1, 1]) {
          const [dx, dy] = [size / 2.4, (way * size) / 2.4];
          this.line([{ x: x - dx, y: y - dy }, { x: x + dx, y: y + dy }]);
        }
      });
    }
  }

  line(points, dashes = []) {
    this.context.beginPath();
    for (const { x, y } of points) this.context.lineTo(x, y);
    this.outline(dashes);
  }

  circle(x, y, radius, inside = null) {
    this.context.beginPath();
    this.context.arc(x, y, radius, 0, 2 * Math.PI);
    if (inside) {
      this.context.fillStyle = inside;
      this.context.fill();
    }
    this.outline();
  }

  /** Stroke the path so that it is seen on light and on dark. */
  outline(dashes = []) {
    const { context, view } = this;
    context.setLineDash([]);
    context.lineWidth = 3 / view.scale;
    context.strokeStyle = "#0008";
    context.stroke();
    context.setLineDash(dashes.map((length) => length / view.scale));
    context.lineWidth = 1.5 / view.scale;
    context.strokeStyle = "#fff";
    context.stroke();
    context.setLineDash([]);
  }
}

/** A map of weights, grey, as colours that let the picture through. */
export async function heat(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const image = context.getImageData(0, 0, bitmap.width, bitmap.height);
  for (let i = 0; i < image.data.length; i += 4) {
    const level = image.data[i];
    image.data.set([255, 255 - level / 2, 0, 0.75 * level], i);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
