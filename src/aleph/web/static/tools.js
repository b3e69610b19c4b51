// What pointing does: each tool has down, move and up, in pixels of the picture.

import { SIDES } from "./extension.js";
import { Frame } from "./frames.js";

const GRAB = 16; // CSS pixels within which a handle is held
const STILL = 5; // CSS pixels up to which a press is a click
export const CROSS = 1; // the corner that takes a frame away

class Tool {
  constructor(editor) {
    this.editor = editor;
  }
  down() {}
  move() {}
  up() {}
  /** Forget what was begun. */
  abandon() {}
  /** Trace what was begun as a path. */
  trace() {}
}

class Brush extends Tool {
  paints = true;
  erase = false;

  down(point, { radius, erase }) {
    if (this.editor.fill) this.editor.keepFill();
    this.erasing = this.erase || erase;
    this.last = point;
    this.move({ x: point.x + 0.01, y: point.y }, { radius });
  }

  move(point, { radius }) {
    this.editor.mask.stroke(this.last, point, radius, this.erasing);
    this.last = point;
  }

  up() {
    this.editor.noteMask(this.editor.mask.commit());
  }

  abandon() {
    this.editor.mask?.revert();
  }
}

class Eraser extends Brush {
  erase = true;
}

class Shape extends Tool {
  paints = true;
  points = [];

  down(point, { erase }) {
    this.erasing = erase;
    this.points = [point];
  }

  up() {
    const outline = this.outline();
    this.points = [];
    if (outline.length < 3) return;
    if (this.editor.fill) this.editor.keepFill();
    this.editor.mask.polygon(outline, this.erasing);
    this.editor.noteMask(this.editor.mask.commit());
  }

  abandon() {
    this.points = [];
  }

  outline() {
    return this.points;
  }

  trace(context) {
    const outline = this.outline();
    for (const { x, y } of outline) context.lineTo(x, y);
    if (outline.length > 1) context.closePath();
  }
}

class Lasso extends Shape {
  move(point) {
    this.points.push(point);
  }
}

class Rectangle extends Shape {
  move(point) {
    this.points = [this.points[0], point];
  }

  outline() {
    if (this.points.length < 2) return this.points;
    const xs = this.points.map(({ x }) => Math.round(x)).sort((a, b) => a - b);
    const ys = this.points.map(({ y }) => Math.round(y)).sort((a, b) => a - b);
    const [left, right, top, bottom] = [...xs, ...ys];
    return [
      { x: left, y: top },
      { x: right, y: top },
      { x: right, y: bottom },
      { x: left, y: bottom },
    ];
  }
}

/**
 * Frames of faces: two clicks set one by its eyes; it is dragged as a whole, turned and scaled by
 * a corner, and taken away by its cross or by dragging it out of the picture.
 */
class Faces extends Tool {
  framing = true;
  first = null; // the eye that was clicked
  held = null; // {index, grip, start, before}

  down(point, { scale }) {
    if (this.editor.fill) this.editor.set({ fill: null });
    this.scale = scale;
    this.held = { ...this.grip(point), start: point, before: this.editor.frames, dragged: false };
  }

  /** What of which frame is pressed. */
  grip(point) {
    const frames = this.editor.frames;
    for (let index = frames.length - 1; index >= 0; index--) {
      const reach = Math.min(GRAB / this.scale, frames[index].side / 3);
      const near = ({ x, y }) => Math.hypot(x - point.x, y - point.y) < reach;
      const corner = frames[index].corners.findIndex(near);
      if (corner >= 0) return { index, grip: corner === CROSS ? "cross" : "corner" };
    }
    const index = frames.findLastIndex((frame) => frame.contains(point));
    return { index, grip: index < 0 ? null : "inside" };
  }

  move(point) {
    if (!this.held) return;
    const { index, grip, start, before } = this.held;
    this.held.dragged ||= Math.hypot(point.x - start.x, point.y - start.y) * this.scale > STILL;
    if (!this.held.dragged || !["corner", "inside"].includes(grip)) return;
    const frame = before[index];
    const changed =
      grip === "corner"
        ? frame.pulled(start, point)
        : frame.moved(point.x - start.x, point.y - start.y);
    this.editor.frames = before.with(index, changed);
  }

  up() {
    if (!this.held) return;
    const { index, grip, start, before, dragged } = this.held;
    const { width, height } = this.editor;
    const inside = ({ x, y }) => x >= 0 && y >= 0 && x <= width && y <= height;
    const frames = this.editor.frames.filter(inside);
    this.abandonDrag(before);
    if (grip === "cross") this.put(before.toSpliced(index, 1));
    else if (dragged && grip) this.put(frames);
    else if (!dragged) this.click(start);
  }

  /** The first or the second eye; a frame about the same face is replaced. */
  click(point) {
    if (!this.first) {
      this.first = point;
      return;
    }
    const apart = Math.hypot(point.x - this.first.x, point.y - this.first.y);
    if (apart * this.scale < STILL || apart < 2) return;
    const [left, right] = [this.first, point].sort((a, b) => a.x - b.x);
    const frame = Frame.fromEyes(left, right);
    this.first = null;
    const others = this.editor.frames.filter((old) => !old.contains(frame) && !frame.contains(old));
    this.put([...others, frame]);
  }

  put(frames) {
    this.editor.set({ frames, framed: true });
  }

  abandonDrag(before) {
    this.editor.frames = before;
    this.held = null;
  }

  abandon() {
    if (this.held) this.abandonDrag(this.held.before);
    this.first = null;
  }
}

/** Drags the borders of the picture, and two of them at a corner, outwards and back. */
class Extend extends Tool {
  held = null; // {sides, start, before}
  wanted = null; // the extension as it will be when the border is let go

  /** `extending` does the work, and knows the bounds. */
  constructor(editor, extending) {
    super(editor);
    this.extending = extending;
  }

  /** The borders that a point holds: those near it, and those that it lies beyond. */
  sides(point, scale) {
    const { width, height } = this.editor;
    const near = (at, length) => {
      const reach = Math.min(GRAB / scale, length / 3);
      return [at < reach, at > length - reach];
    };
    const [[left, right], [top, bottom]] = [near(point.x, width), near(point.y, height)];
    return SIDES.filter((_, i) => [left, top, right, bottom][i]);
  }

  down(point, { scale }) {
    const sides = this.sides(point, scale);
    if (!sides.length) return;
    this.held = { sides, start: point, before: this.extending.present() };
  }

  move(point) {
    if (!this.held) return;
    const { sides, start, before } = this.held;
    const [dx, dy] = [point.x - start.x, point.y - start.y];
    const by = { left: -dx, top: -dy, right: dx, bottom: dy };
    const wanted = { ...before };
    for (const side of sides) wanted[side] += by[side];
    this.wanted = this.extending.within(wanted, sides);
    this.extending.refresh(this.wanted);
  }

  up() {
    const { wanted, held } = this;
    this.abandon();
    if (wanted) this.extending.extend(wanted, held.sides);
  }

  abandon() {
    this.held = this.wanted = null;
  }

  /** What the pointer looks like at a point. */
  cursor(point, scale) {
    const sides = this.held?.sides ?? this.sides(point, scale);
    return CURSORS[sides.join(" ")] ?? "default";
  }
}

const CURSORS = {
  left: "ew-resize",
  right: "ew-resize",
  top: "ns-resize",
  bottom: "ns-resize",
  "left top": "nwse-resize",
  "right bottom": "nwse-resize",
  "top right": "nesw-resize",
  "left bottom": "nesw-resize",
};

/** Drags the border between the photo before and after. */
class Compare extends Tool {
  constructor(editor, show) {
    super(editor);
    this.show = show;
  }

  down(point) {
    this.show(point.x / this.editor.width);
  }

  move(point) {
    this.down(point);
  }
}

/** `compare` is told where the border between after and before lies, as a share of the width. */
export function makeTools(editor, compare, extending) {
  return {
    brush: new Brush(editor),
    eraser: new Eraser(editor),
    rectangle: new Rectangle(editor),
    lasso: new Lasso(editor),
    extend: new Extend(editor, extending),
    faces: new Faces(editor),
    compare: new Compare(editor, compare),
    hand: new Tool(editor),
  };
}
