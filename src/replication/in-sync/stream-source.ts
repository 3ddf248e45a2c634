/**
 * Who feeds followers. Entries come from the copy, which every node has; a source says in addition
 * what an answer of a follower is good for. Today only the writer of the active is one.
 */
import type { Follower } from './types.js'

export interface StreamSource {
  /**
   * The members whose answers count: they have large content before the entry that names it gets
   * its position.
   */
  readonly countingMembers: readonly string[]
  /**
   * A follower's stream begins, and the one before it ends. Only one that is promotable can join
   * the in-sync set.
   */
  addFollower(id: string, options: { readonly promotable: boolean }): Follower
  /** All promotable members are proven gone: nothing waits for any of them. */
  nobodyInReach(): void
}
