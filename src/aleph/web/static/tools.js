// What pointing does: each tool has down, move and up, in pixels of the picture.

const GRAB = 14;

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
  erase = false;

  down(point, { radius }) {
    if (this.editor.fill) this.editor.keepFill();
    this.last = point;
    this.move({ x: point.x + 0.01, y: point.y }, { radius });
  }

  move(point, { radius }) {
    this.editor.mask.stroke(this.last, point, radius, this.erase);
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
  points = [];

  down(point) {
    this.points = [point];
  }

  up() {
    const outline = this.outline();
    this.points = [];
    if (outline.length < 3) return;
    if (this.editor.fill) this.editor.keepFill();
    this.editor.mask.polygon(outline);
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

/** Two clicks mark a face; a mark can be dragged, and dragged out of the picture it is gone. */
class Eyes extends Tool {
  first = null;
  held = null;

  down(point, { scale }) {
    const near = ({ x, y }) => Math.hypot(x - point.x, y - point.y) * scale < GRAB;
    this.editor.eyes.forEach((pair, face) => {
      const eye = pair.findIndex(near);
      if (eye >= 0) this.held = { face, eye };
    });
    if (this.held) {
      this.before = this.editor.eyes;
    } else if (this.first) {
      const pair = [this.first, point].sort((a, b) => a.x - b.x);
      this.first = null;
      this.editor.set({ eyes: [...this.editor.eyes, pair] });
    } else {
      this.first = point;
    }
  }

  move(point) {
    if (!this.held) return;
    const { face, eye } = this.held;
    this.editor.eyes = this.editor.eyes.map((pair, i) =>
      i === face ? pair.map((old, j) => (j === eye ? point : old)) : pair,
    );
  }

  up() {
    if (!this.held) return;
    const { width, height } = this.editor.picture;
    const inside = ({ x, y }) => x >= 0 && y >= 0 && x <= width && y <= height;
    const eyes = this.editor.eyes.filter((pair) => pair.every(inside));
    this.editor.eyes = this.before;
    this.held = null;
    this.editor.set({ eyes });
  }

  abandon() {
    if (this.held) this.editor.eyes = this.before;
    this.held = this.first = null;
  }
}

export function makeTools(editor) {
  return {
    brush: new Brush(editor),
    eraser: new Eraser(editor),
    rectangle: new Rectangle(editor),
    lasso: new Lasso(editor),
    eyes: new Eyes(editor),
    hand: new Tool(editor),
  };
}
