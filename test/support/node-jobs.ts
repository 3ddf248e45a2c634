/** What a test and the node processes that it starts say to each other. */
import type { Decision, NodeLogEvent, NodeStatus, Receipt } from 'hotspare'
import type { Ledger } from './ledger.js'

/** Options of a node that tests change; all else is the library's default. */
export interface Tuning {
  readonly heartbeatMs?: number
  readonly deadMs?: number
  readonly discoveryMs?: number
  readonly startupWaitMs?: number
  readonly degradeAfterMs?: number
  readonly handshakeMs?: number
  readonly onNoStandby?: 'degrade' | 'block'
  readonly onMissingPeer?: 'takeOver' | 'hold'
  readonly secret?: string
  readonly restoreBytesPerSecondMax?: number
}

/** How a node is set up. */
export interface Plan extends Tuning {
  readonly id: string
  readonly listen: string
  /** In takeover order, with the addresses at which this node reaches them. */
  readonly members: readonly { readonly id: string; readonly address: string }[]
  readonly folder: string
}

/** Concurrent callers, each of which rests after an acknowledgement. */
export interface Load {
  readonly callers: number
  readonly restMs: number
}

/** What a test can ask of a node: the argument and the answer of each job. */
export interface Jobs {
  start: { readonly takes: Plan; readonly gives: undefined }
  status: { readonly takes: undefined; readonly gives: NodeStatus }
  explain: { readonly takes: undefined; readonly gives: readonly Decision[] }
  write: { readonly takes: Write; readonly gives: Receipt }
  read: { readonly takes: { readonly path: string }; readonly gives: Uint8Array }
  remove: { readonly takes: { readonly path: string }; readonly gives: Receipt }
  /** Many files of random bytes, several at a time; answers when all are acknowledged. */
  fill: { readonly takes: Fill; readonly gives: undefined }
  /** From now on this node writes while it is active, each time anew. */
  beginLoad: { readonly takes: Load; readonly gives: undefined }
  endLoad: { readonly takes: undefined; readonly gives: undefined }
  ledger: { readonly takes: undefined; readonly gives: Ledger }
  switchover: { readonly takes: { readonly to?: string }; readonly gives: undefined }
  stop: { readonly takes: undefined; readonly gives: undefined }
  /** Opens files until the process may open no more; answers how many. */
  exhaust: { readonly takes: undefined; readonly gives: number }
  /** Closes them. */
  release: { readonly takes: undefined; readonly gives: undefined }
}

export interface Write {
  readonly path: string
  readonly content: string
  readonly ack?: 'local' | 'standby' | 'all'
}

export interface Fill {
  readonly prefix: string
  readonly files: number
  readonly bytes: number
}

export interface Request {
  readonly id: number
  readonly job: keyof Jobs
  readonly argument: unknown
}

/** A write that was acknowledged: which one, and what it really got. */
export interface Ack {
  readonly writer: string
  readonly count: number
  readonly kind: WriteKind
  /** By the clock that all processes of one machine share. */
  readonly atMs: number
  readonly degraded: boolean
}

/** The loads of the tests write in all three ways in turn. */
export const writeKinds = ['update', 'append', 'put'] as const
export type WriteKind = (typeof writeKinds)[number]

/** What a node process says: answers to requests, and news. */
export type Message =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | {
      readonly kind: 'failure'
      readonly id: number
      readonly code: string
      readonly message: string
    }
  | { readonly kind: 'event'; readonly event: NodeLogEvent }
  | { readonly kind: 'ack'; readonly ack: Ack }
  /** A write that was made while the node was active and not acknowledged. */
  | { readonly kind: 'refused'; readonly writer: string; readonly code: string }

/** Milliseconds of a monotonic clock that all processes of one machine share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Files of the load. */
export function logPath(writer: string): string {
  return `load/${writer}.log`
}

const slots = 20

export function slotPath(writer: string, count: number): string {
  return `load/${writer}/${count % slots}.txt`
}
