/** What the peers said of themselves in their handshakes, as far as it is compared or shown. */
import type { Identity } from '../../protocol/identity.js'
import type { NodeOptions } from '../contract/options.js'

/** The processes that spoke as one peer. */
interface Voices {
  present: string
  before: string | undefined
  /** Since when the two speak in turns. */
  sinceMs: number
  /** When they took turns last. */
  turnMs: number
  told: boolean
}

export class PeerIdentities {
  /** Why a peer gets no data, by its id. */
  readonly mismatches: Map<string, string> = new Map()
  readonly appVersions: Map<string, string> = new Map()
  readonly #voices = new Map<string, Voices>()
  /** Of members with two processes: the one that is let in, and when it was heard last. */
  readonly #kept = new Map<string, { readonly bootId: string; heardMs: number }>()
  readonly #options: Pick<NodeOptions, 'policy' | 'deadMs'>

  constructor(options: Pick<NodeOptions, 'policy' | 'deadMs'>) {
    this.#options = options
  }

  /**
   * Compares classes with a peer: one that differs gets no data, and stays connected. Answers why,
   * when that is new.
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
   * A process spoke as this peer. A new one follows the one before, whose last words may still be
   * under way; two that speak in turns for longer than a silence of `deadMs` run both. Answers with
   * these two, once.
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

  /** Of two processes with one id this one is let in from now on, as long as it is heard. */
  keep(peer: string, bootId: string, nowMs: number): void {
    this.#kept.set(peer, { bootId, heardMs: nowMs })
  }

  /**
   * Why a process is not let in: another one with its id is, and lives. Else each would make void
   * what the other one said, and whoever follows that id would begin anew with each of their
   * messages.
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
