// Frames: the squares of the picture that the model looks at, moved, turned and scaled.

/** A square: its centre and side in pixels of the picture, its angle in degrees, clockwise. */
export class Frame {
  /** Where the eyes of a face lie in its frame, which spans 0 to 1; the server says where. */
  static eyes = [[0, 0], [1, 0]];

  constructor({ x, y, side, angle }) {
    Object.assign(this, { x, y, side, angle });
  }

  /** The frame in which two points are the eyes of a face, the left one first. */
  static fromEyes(a, b) {
    const [[u, v], [w]] = Frame.eyes;
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const side = Math.hypot(dx, dy) / (w - u);
    const frame = new Frame({ x: 0, y: 0, side, angle: (Math.atan2(dy, dx) * 180) / Math.PI });
    const eye = frame.at(u, v);
    return frame.moved(a.x - eye.x, a.y - eye.y);
  }

  /** A point of the unit square, in the picture. */
  at(u, v) {
    const turn = (this.angle * Math.PI) / 180;
    const [across, down] = [(u - 0.5) * this.side, (v - 0.5) * this.side];
    return {
      x: this.x + across * Math.cos(turn) - down * Math.sin(turn),
      y: this.y + across * Math.sin(turn) + down * Math.cos(turn),
    };
  }

  /** Upper left first, then clockwise. */
  get corners() {
    return [[0, 0], [1, 0], [1, 1], [0, 1]].map(([u, v]) => this.at(u, v));
  }

  get eyes() {
    return Frame.eyes.map(([u, v]) => this.at(u, v));
  }

  contains({ x, y }) {
    const turn = (this.angle * Math.PI) / 180;
    const [dx, dy] = [x - this.x, y - this.y];
    const across = dx * Math.cos(turn) + dy * Math.sin(turn);
    const down = dy * Math.cos(turn) - dx * Math.sin(turn);
    return Math.max(Math.abs(across), Math.abs(down)) <= this.side / 2;
  }

  moved(dx, dy) {
    return new Frame({ ...this, x: this.x + dx, y: this.y + dy });
  }

  /** Turned and scaled about its centre as a handle at `from` is dragged to `to`. */
  pulled(from, to) {
    const arm = ({ x, y }) => [Math.hypot(x - this.x, y - this.y), Math.atan2(y - this.y, x - this.x)];
    const [[length, angle], [wanted, turned]] = [arm(from), arm(to)];
    const side = Math.max(this.side * (wanted / length), 4);
    return new Frame({ ...this, side, angle: this.angle + ((turned - angle) * 180) / Math.PI });
  }
}
