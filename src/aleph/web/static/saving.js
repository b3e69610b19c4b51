// Takes results out of the page: as files, and by the clipboard. The browser holds them: the server
// may be gone.

import * as api from "./api.js";
import { download, stem } from "./files.js";
import { $ } from "./panel.js";
import { markDone, markFolder } from "./start.js";

const COPIED = "Copied.";

export function makeSaving(app) {
  const { editor } = app;

  const save = () =>
    app.attempt(async () => {
      const result = editor.savable;
      const format = editor.format ?? "png";
      const name = stem(editor.picture.name);
      try {
        download(await result.file(format), `${name}-filled.${format}`);
      } catch (error) {
        if (!(error instanceof api.Refusal) || !result.png) throw error;
        download(result.png, `${name}-filled.png`);
        app.complain("The program that mends photos no longer has this result: it was saved as PNG.");
      }
      markDone(editor.picture.name);
      markFolder(editor.picture.name);
      editor.saved();
      app.say("Downloaded.");
      return true;
    });

  const copy = () =>
    app.attempt(async () => {
      if (!navigator.clipboard?.write) {
        throw new api.Refusal("This browser copies pictures only from addresses that it trusts: download the photo.");
      }
      const { png } = editor.savable;
      await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
      app.say(COPIED);
    });

  const saveAnimation = () =>
    app.attempt(async () => {
      const format = $("animation-format").value;
      app.say("Making the animation…");
      try {
        const blob = await api.animation(editor.taken.job, format);
        download(blob, `${stem(editor.picture.name)}-search.${format}`);
      } finally {
        app.refresh();
      }
    });

  const saveMask = async () =>
    download(await editor.mask.png(), `${stem(editor.picture.name)}-mask.png`);

  return { save, copy, saveAnimation, saveMask };
}
