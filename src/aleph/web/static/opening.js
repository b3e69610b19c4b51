// Opens photos and masks; what was made of the photo before is asked about first.

import * as api from "./api.js";
import { ask } from "./dialog.js";
import { readPicture } from "./files.js";
import { maskPixels } from "./mask.js";

const UNREADABLE = "This is no picture that can be read.";

export function makeOpening(app, save) {
  const { editor, view } = app;

  /** Whether the photo that is open may be replaced. */
  async function mayLeave() {
    if (app.running) {
      app.complain("Cancel what is being worked out first, or wait for it.");
      return false;
    }
    if (!editor.picture || !editor.unsaved) return true;
    const answers = [
      ...(editor.savable ? [["save", "Download it first"]] : []),
      ["leave", "Open without saving"],
      ["stay", "Stay here"],
    ];
    const text = `What you did to ${editor.picture.name} was not downloaded. Opening another photo discards it.`;
    const answer = await ask("Open another photo?", text, answers);
    if (answer === "save") return Boolean(await save());
    return answer === "leave";
  }

  /** Open a photo; returns whether that was done. */
  async function open(blob, name = blob?.name ?? "picture.png") {
    if (!blob || !(await mayLeave())) return false;
    return app.attempt(async () => {
      const picture = await readPicture(blob, name, app.offer).catch((error) => {
        throw error instanceof api.Refusal ? error : new api.Refusal(UNREADABLE);
      });
      app.setCompare(1);
      app.opened();
      editor.open(picture);
      view.show(picture.width, picture.height);
      app.focusPicture();
      check(picture);
      return true;
    });
  }

  /** Ask the server whether it will take this photo, before anyone has painted on it. */
  async function check(picture) {
    try {
      const { format, remarks, missing } = await api.check(picture.blob);
      if (editor.picture !== picture) return;
      Object.assign(editor, { format, remarks: remarks.map(api.sentence) });
      app.refresh();
      // The browser shows what a file that is cut short lacks as plain grey.
      if (missing) await useMask(await decoded(missing), { made: false, added: true });
    } catch (error) {
      // Without a server there is nothing to say yet.
      if (editor.picture !== picture || !error.status || error.status >= 500) return;
      editor.refused = error.message;
      app.complain(error.message);
      app.refresh();
    }
  }

  async function openSample(name, image, mask) {
    if (await open(image, name)) await app.attempt(() => useMask(mask, { made: false }));
  }

  async function openListed(name) {
    const blob = await app.attempt(() => api.photo(name));
    if (blob) await open(blob, name);
  }

  async function decoded(url) {
    const picture = new Image();
    picture.src = url;
    await picture.decode();
    return picture;
  }

  /**
   * Select what is light in a picture; `made` says whether that is the user's own work, `added`
   * whether what is selected stays so.
   */
  async function useMask(source, { made = true, added = false } = {}) {
    const { base, mask, width, height } = editor;
    const bitmap = await createImageBitmap(source).catch(() => {
      throw new api.Refusal("The mask is no picture that can be read.");
    });
    const fits = (size) => bitmap.width * size.height === bitmap.height * size.width;
    if (!fits(base) && !fits(editor)) {
      throw new api.Refusal(
        `The mask has ${bitmap.width}×${bitmap.height} pixels, the photo ${base.width}×${base.height}: they must have the same shape.`,
      );
    }
    const pixels = fits(base)
      ? mask.with(maskPixels(bitmap, base.width, base.height), added)
      : maskPixels(bitmap, width, height);
    editor.noteMask(mask.replace(pixels));
    if (!made) editor.saved();
  }

  return { open, openSample, openListed, useMask };
}
