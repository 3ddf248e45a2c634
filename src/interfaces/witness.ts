/**
 * The place where an outside lease will stand between a node and the role. The core already asks before
 * every promotion; without a witness the answer is yes.
 */
export interface PromotionGate {
  /** Resolves to true when the node may become active in a term of this epoch; false or a throw refuses. */
  mayBecomeActive(epoch: number, signal: AbortSignal): Promise<boolean>
}
