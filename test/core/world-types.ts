/** What a world is made of: plain data, so that it can be copied. */

import type { DurableFacts, Role } from '../../src/core/state/facts.js'
import type { CoreMessage } from '../../src/core/state/messages.js'
import type { CoreEvent, CoreInput, CoreMember, CoreOptions } from '../../src/core/state/types.js'
import type { CoreState } from '../../src/core/step.js'
import type { History, Term } from '../../src/history/position.js'

export interface Disk {
  durable: DurableFacts
  history: History
  seq: number
  inSync: readonly string[] | undefined
}

export interface NodeSim {
  readonly id: string
  boot: number
  alive: boolean
  frozen: boolean
  /** When the next tick comes. */
  tickAtMs: number
  /** What arrived while it was frozen, in order. */
  backlog: Item[]
  core: CoreState
  disk: Disk
  inSyncKnown: boolean
  /** The last change that it acknowledged as held by a standby, while it is active. */
  heldSeq: number
  ineligible: string | undefined
  /** Its copy is no consistent state any more, until it was restored. */
  damaged: boolean
  /** The stream that is followed; it moves data once `caughtUp`. */
  stream: { peer: string; term: Term; caughtUp: boolean } | undefined
  term: Term | undefined
  writesFrozen: boolean
  drain: { id: number; target: string; deadlineMs: number } | undefined
  gateOpen: boolean
  /** Opening a term fails. */
  opens: boolean
  /** Others can fetch what it has and they lack. */
  fetchable: boolean
  /** The last change that its disk took; a process that ends loses the rest. */
  synced: number
  /** Its disk takes nothing for now. */
  lazy: boolean
  /** It restarted, and nobody knows what it had acknowledged from memory. */
  forgot: boolean
  /** How long fetching what it lacks takes; 0 for at once. */
  fetchMs: number
  /** How much of that was fetched, over all attempts. */
  fetchedMs: number
  /** The standby takes updates, but late: nothing arrives while this is set. */
  lagging: boolean
  restoreMs: number
}

/** What comes next; `at` is the virtual time. */
export type Item = { readonly at: number; readonly order: number } & (
  | {
      readonly kind: 'message'
      readonly from: string
      readonly to: string
      /** The connection it is on: the one that this node dialled. */
      readonly link: string
      readonly boots: string
      /**
       * It lies in the socket of a process that stands still: nothing keeps it from being read
       * later.
       */
      readonly arrived?: boolean
      readonly message: CoreMessage
    }
  | { readonly kind: 'input'; readonly node: string; readonly boot: number; readonly input: Body }
  | {
      readonly kind: 'persist'
      readonly node: string
      readonly boot: number
      readonly id: number
      readonly facts: DurableFacts
    }
  | { readonly kind: 'dial'; readonly from: string; readonly to: string; readonly boot: number }
  | { readonly kind: 'restore'; readonly node: string; readonly boot: number; readonly term: Term }
  | { readonly kind: 'open'; readonly node: string; readonly boot: number; readonly term: Term }
)

/** An input without its times. */
export type Body = CoreInput extends infer One
  ? One extends CoreInput
    ? Omit<One, 'nowMs' | 'wallMs'>
    : never
  : never

export interface WorldOptions extends Partial<Omit<CoreOptions, 'nodeId' | 'bootId' | 'members'>> {
  readonly members?: readonly CoreMember[]
  /** No timers and no dials by themselves: the explorer decides what comes next. */
  readonly manual?: boolean
}

export interface Said {
  readonly atMs: number
  readonly node: string
  readonly what: string
  readonly event?: CoreEvent
  readonly role?: Role
  readonly done?: { readonly id: number; readonly error: string | undefined }
}

export type ItemBody = Item extends infer One
  ? One extends Item
    ? Omit<One, 'at' | 'order'>
    : never
  : never
