// The overlay that shows how much each known pixel counts.

import * as api from "./api.js";
import { $ } from "./panel.js";
import { heat } from "./scene.js";

const QUIET = 150; // milliseconds
const SIDE = 1024;

export function makeWeights({ editor, scene, attempt }) {
  let asked = 0;
  return async function refreshWeights() {
    const mine = ++asked;
    if (!$("show-weights").checked || !editor.hasHole) {
      scene.weights = null;
      return scene.draw();
    }
    await new Promise((resolve) => setTimeout(resolve, QUIET));
    if (mine !== asked) return;
    await attempt(async () => {
      const map = await heat(await api.weights(await editor.mask.png({ side: SIDE }), $("weighting").value));
      if (mine === asked) scene.weights = map;
      scene.draw();
    });
  };
}
