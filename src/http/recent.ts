/** Asks at most once in `forMs`: in between, the last answer is everybody's. One that failed is nobody's. */
export function recent<Answer>(
  ask: () => Promise<Answer>,
  forMs: number,
  clock: () => number,
): () => Promise<Answer> {
  let last: { readonly answer: Promise<Answer>; readonly atMs: number } | undefined
  return () => {
    if (last && clock() - last.atMs < forMs) return last.answer
    const asked = { answer: ask(), atMs: clock() }
    last = asked
    asked.answer.catch(() => {
      if (last === asked) last = undefined
    })
    return asked.answer
  }
}
