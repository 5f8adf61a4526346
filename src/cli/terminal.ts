/** Where a command speaks: answers go to `out`, what accompanies them to `err`. */
export interface Terminal {
  readonly out: Stream
  readonly err: Stream
}

export type Stream = Pick<NodeJS.WriteStream, 'write'> & { readonly isTTY?: boolean | undefined }

/** Answers for machines: one JSON object a line. */
export function writeJson({ out }: Terminal, answer: object): void {
  out.write(`${JSON.stringify(answer)}\n`)
}

/** Answers for people: names to the left, what they have to the right. */
export function writeTable(
  { out }: Terminal,
  rows: readonly (readonly [name: string, value: unknown])[],
): void {
  const width = Math.max(...rows.map(([name]) => name.length))
  for (const [name, value] of rows) out.write(`${`  ${name.padEnd(width)}  ${value}`.trimEnd()}\n`)
}
