/** What a verification found to be wrong: one sentence for people, and where it lies for machines. */
export interface Finding {
  readonly code: FindingCode
  /** A sentence that names the event, hash or signature in question. */
  readonly message: string
  /** Of the event in the log. */
  readonly index?: number
  readonly stream?: string
  readonly revision?: number
}

export type FindingCode =
  /** It is not in the form that it should have. */
  | 'malformed'
  /** No signature is by a key that was given. */
  | 'unknown-key'
  /** A signature by a known key does not hold. */
  | 'signature'
  /** A known key has signed two trees. */
  | 'fork'
  /** The log is shorter than a note that was signed. */
  | 'shortened'
  /** The log does not give what its note promises. */
  | 'missing'
  /** An event is not the one that was signed. */
  | 'entry'
  /** A tile holds another hash than its entries make. */
  | 'tile'
  /** An inclusion proof does not lead to the signed root. */
  | 'inclusion'
  /** A consistency proof does not lead from one signed root to another. */
  | 'consistency'
  /** The revisions of a stream are not dense from 0, or not in order. */
  | 'revision'
  /** An event id occurs twice. */
  | 'doubled'
  /** An index is not above the one before it. */
  | 'order'
  /** A text is not what was committed to. */
  | 'disclosure'

/** Where an event lies, for a sentence. */
export function eventName(index: number, entry?: { readonly stream: string; readonly revision: number }) {
  return entry === undefined
    ? `event ${index}`
    : `event ${index} (${entry.stream}, revision ${entry.revision})`
}
