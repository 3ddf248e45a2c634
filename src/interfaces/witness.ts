/**
 * Lets an outside lease veto a promotion. A node asks it before every promotion, a planned handover
 * included, and at no other time: if a node loses the lease while it is active, the application has
 * to call `node.stop()`.
 */
export interface PromotionGate {
  /**
   * Resolves to true when the node may become active in a term of this epoch. Any other value and a
   * rejection refuse; the node asks again at its next attempt, with growing pauses.
   * @param signal - aborts when the attempt is over: another node is active, or this one stops
   */
  mayBecomeActive(epoch: number, signal: AbortSignal): Promise<boolean>
}
