/**
 * The place where an outside lease can stand between a node and the role. It is asked before every
 * promotion, a planned handover included, and only then: whoever loses its lease while the node is
 * active has to call `node.stop()` itself.
 */
export interface PromotionGate {
  /**
   * Resolves to true when the node may become active in a term of this epoch; everything else and a
   * throw refuse, and it is asked again with the next attempt, with growing pauses.
   * @param signal - aborts when the attempt is over: another node is active, or this one stops
   */
  mayBecomeActive(epoch: number, signal: AbortSignal): Promise<boolean>
}
