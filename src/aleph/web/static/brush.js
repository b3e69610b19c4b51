// The size of the brush, and the brush that the keyboard moves.

import { $ } from "./panel.js";

const POINTER = 5; // CSS pixels, radius of the mark of tools without a size

export function makeBrush(app) {
  const { editor, view, scene } = app;
  let down = false; // by the keyboard

  /** In pixels of the picture: the slider is logarithmic. The smallest dab covers half of a pixel
   * wherever it falls. */
  function radius() {
    const largest = Math.max(editor.width, editor.height) / 2;
    return Math.max(0.85, largest ** (Number($("size").value) / 100) / 2);
  }

  function resize(by) {
    $("size").valueAsNumber += by;
    if (by) $("size").dispatchEvent(new Event("input"));
    if (scene.cursor) scene.cursor.radius = radius();
    app.refresh();
  }

  const pen = (erase = false) => ({ radius: radius(), scale: view.scale, erase });

  /** Arrow keys and Enter on the picture; returns whether the key was one of them. */
  function steer(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (!way && event.key !== "Enter") return false;
    const { width, height } = editor;
    const here = scene.cursor ?? { x: width / 2, y: height / 2 };
    const stride = event.shiftKey ? 1 : Math.max(1, radius());
    if (way) {
      here.x = Math.min(Math.max(here.x + way[0] * stride, 0), width);
      here.y = Math.min(Math.max(here.y + way[1] * stride, 0), height);
      if (down) app.tool().move({ x: here.x, y: here.y }, pen());
    } else {
      down ? app.tool().up() : app.tool().down({ x: here.x, y: here.y }, pen());
      down = !down;
      app.say(down ? "Brush down." : "Brush up.");
    }
    scene.cursor = { x: here.x, y: here.y, radius: app.sized() ? radius() : POINTER / view.scale };
    scene.draw();
    return true;
  }

  const lift = () => (down = false);
  return { radius, resize, pen, steer, lift };
}
