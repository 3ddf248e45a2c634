/** What the peers reported in their handshakes, as far as it is compared or shown. */
import type { Identity } from '../../protocol/identity.js'
import type { NodeOptions } from '../contract/options.js'

/** The processes that have sent messages as one peer. */
interface Voices {
  present: string
  before: string | undefined
  /** Since when the two alternate. */
  sinceMs: number
  /** When they last alternated. */
  turnMs: number
  told: boolean
}

export class PeerIdentities {
  /** Why peers get no data, by id. */
  readonly mismatches: Map<string, string> = new Map()
  readonly appVersions: Map<string, string> = new Map()
  readonly #voices = new Map<string, Voices>()
  /** For members with two processes: the admitted one, and when it was last heard. */
  readonly #kept = new Map<string, { readonly bootId: string; heardMs: number }>()
  readonly #options: Pick<NodeOptions, 'policy' | 'deadMs'>

  constructor(options: Pick<NodeOptions, 'policy' | 'deadMs'>) {
    this.#options = options
  }

  /**
   * Compares the classes of a peer with those of this node. A peer whose classes differ stays
   * connected and gets no data. Returns the reason when it is new.
   */
  met(identity: Identity): string | undefined {
    const peer = identity.nodeId
    if (identity.appVersion !== undefined) this.appVersions.set(peer, identity.appVersion)
    const own = this.#options.policy.fingerprints()
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
   * Records that a process has sent a message as this peer. A new process replaces the one before,
   * whose last messages may still be in flight; two that alternate for longer than twice
   * `deadMs` both run. Returns these two, once.
   */
  spoke(peer: string, bootId: string, nowMs: number): readonly [string, string] | undefined {
    const { deadMs } = this.#options
    const kept = this.#kept.get(peer)
    if (kept?.bootId === bootId) kept.heardMs = nowMs
    const voices = this.#voices.get(peer)
    if (voices === undefined) {
      const times = { sinceMs: nowMs, turnMs: nowMs }
      this.#voices.set(peer, { present: bootId, before: undefined, ...times, told: false })
      return undefined
    }
    const { present } = voices
    if (present === bootId) return undefined
    const others = voices.before !== bootId
    if (others) voices.told = false
    if (others || nowMs - voices.turnMs > deadMs) voices.sinceMs = nowMs
    voices.before = present
    voices.present = bootId
    voices.turnMs = nowMs
    if (voices.told || nowMs - voices.sinceMs <= 2 * deadMs) return undefined
    voices.told = true
    return [present, bootId]
  }

  /** Admits only this process of the two with one id from now on, as long as it is heard. */
  keep(peer: string, bootId: string, nowMs: number): void {
    this.#kept.set(peer, { bootId, heardMs: nowMs })
  }

  /**
   * Why a process is not admitted: another one with its id is, and is alive. Otherwise the two
   * would invalidate each other's reports, and a node that follows this id would start again with
   * each message.
   */
  refusal({ nodeId, bootId }: Identity, nowMs: number): string | undefined {
    const kept = this.#kept.get(nodeId)
    if (kept === undefined || kept.bootId === bootId) return undefined
    if (nowMs - kept.heardMs >= this.#options.deadMs) {
      this.#kept.delete(nodeId)
      return undefined
    }
    return `two processes run as ${nodeId}: ${kept.bootId}, which is let in, and ${bootId}`
  }
}
