// Drawing at most once a frame, however much comes meanwhile.

const waiting = new Set();
let asked = false;

export function soon(paint) {
  waiting.add(paint);
  if (asked) return;
  asked = true;
  // A page in the background has no frames, and needs none.
  requestAnimationFrame(() => {
    asked = false;
    const now = [...waiting];
    waiting.clear();
    for (const each of now) each();
  });
}
