/** What the peers said of themselves in their handshakes, as far as it is compared or shown. */
import type { SyncPolicy } from '../policy/sync-policy.js'
import type { Identity } from '../protocol/identity.js'

/** The processes that spoke as one peer. */
interface Voices {
  present: string
  before: string | undefined
  /** How often the one before the present one spoke again. */
  returns: number
}

export class PeerIdentities {
  /** Why a peer gets no data, by its id. */
  readonly mismatches: Map<string, string> = new Map()
  readonly appVersions: Map<string, string> = new Map()
  readonly #voices = new Map<string, Voices>()
  readonly #policy: SyncPolicy

  constructor(policy: SyncPolicy) {
    this.#policy = policy
  }

  /**
   * Compares classes with a peer: one that differs gets no data, and stays connected. Answers why, when that is new.
   */
  met(identity: Identity): string | undefined {
    const peer = identity.nodeId
    if (identity.appVersion !== undefined) this.appVersions.set(peer, identity.appVersion)
    const own = this.#policy.fingerprints()
    const names = new Set([...Object.keys(own), ...Object.keys(identity.fingerprints)])
    const differ = [...names].filter((name) => own[name] !== identity.fingerprints[name])
    const known = this.mismatches.get(peer)
    if (differ.length === 0) {
      this.mismatches.delete(peer)
      return undefined
    }
    const reason = `the classes ${differ.sort().join(', ')} differ or are known to one side only`
    this.mismatches.set(peer, reason)
    return known === reason ? undefined : reason
  }

  /**
   * A process spoke as this peer. A new one follows the one before, once; two that speak in turns run both. Answers with
   * these two, when that is new.
   */
  spoke(peer: string, bootId: string): readonly [string, string] | undefined {
    const voices = this.#voices.get(peer)
    if (voices === undefined) {
      this.#voices.set(peer, { present: bootId, before: undefined, returns: 0 })
      return undefined
    }
    const { present } = voices
    if (present === bootId) return undefined
    voices.returns = voices.before === bootId ? voices.returns + 1 : 0
    voices.before = present
    voices.present = bootId
    // One return may be words of the old process that were long under way.
    return voices.returns === 2 ? [present, bootId] : undefined
  }
}
