/**
 * The place where an outside lease will stand between a node and the role. The core already asks before
 * every promotion; without a witness the answer is yes.
 */
export interface PromotionGate {
  /**
   * Resolves to true when the node may become active in a term of this epoch; everything else and a throw refuse, and it is
   * asked again with the next attempt, with growing pauses.
   * @param signal - aborts when the attempt is over: another node is active, or this one stops
   */
  mayBecomeActive(epoch: number, signal: AbortSignal): Promise<boolean>
}
