/**
 * What serving a follower needs besides the copy: a place where its acknowledgements count. Entries
 * come from the copy, which every node has. Today only the writer of the active is a source.
 */
import type { Follower } from './types.js'

export interface StreamSource {
  /**
   * The members whose acknowledgements count. They get a blob before the entry that names it is
   * appended.
   */
  readonly countingMembers: readonly string[]
  /**
   * A follower's stream begins and replaces its previous one. Only a promotable follower can join
   * the in-sync set.
   */
  addFollower(id: string, options: { readonly promotable: boolean }): Follower
  /** All promotable members are proven gone, so writes need not wait for any of them. */
  nobodyInReach(): void
}
