/** A projector must not go on, and waiting does not help. The message is one sentence for the operator. */
export class ProjectorStopped extends Error {
  override readonly name = 'ProjectorStopped'
}
