/** The messages between a test and the node processes that it starts. */
import type { Decision, NodeLogEvent, NodeStatus, Receipt } from 'hotspare'
import type { Ledger } from './ledger.js'

/** Options of a node that tests change; all others have the library's defaults. */
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

/** The configuration of a node. */
export interface Plan extends Tuning {
  readonly id: string
  readonly listen: string
  /** The members in takeover order, with the addresses at which this node dials them. */
  readonly members: readonly { readonly id: string; readonly address: string }[]
  readonly folder: string
}

/** Concurrent callers, each of which pauses after an acknowledgement. */
export interface Load {
  readonly callers: number
  readonly restMs: number
}

/** The jobs that a test can request of a node: argument and answer of each. */
export interface Jobs {
  start: { readonly takes: Plan; readonly gives: undefined }
  status: { readonly takes: undefined; readonly gives: NodeStatus }
  explain: { readonly takes: undefined; readonly gives: readonly Decision[] }
  write: { readonly takes: Write; readonly gives: Receipt }
  read: { readonly takes: { readonly path: string }; readonly gives: Uint8Array }
  remove: { readonly takes: { readonly path: string }; readonly gives: Receipt }
  /** Writes many files of random bytes, several at a time; answers when all are acknowledged. */
  fill: { readonly takes: Fill; readonly gives: undefined }
  /** Makes this node write whenever it is active. */
  beginLoad: { readonly takes: Load; readonly gives: undefined }
  endLoad: { readonly takes: undefined; readonly gives: undefined }
  ledger: { readonly takes: undefined; readonly gives: Ledger }
  switchover: { readonly takes: { readonly to?: string }; readonly gives: undefined }
  stop: { readonly takes: undefined; readonly gives: undefined }
  /** Opens files until the process has no descriptors left; answers how many. */
  exhaust: { readonly takes: undefined; readonly gives: number }
  /** Closes the files of `exhaust`. */
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

/** An acknowledged write, with its receipt. */
export interface Ack {
  readonly writer: string
  readonly count: number
  readonly kind: WriteKind
  /** The time on the clock that all processes of one machine share. */
  readonly atMs: number
  readonly degraded: boolean
}

/** The kinds of writes, which the loads use in turn. */
export const writeKinds = ['update', 'append', 'put'] as const
export type WriteKind = (typeof writeKinds)[number]

/** The messages of a node process: answers to requests, and events. */
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
  /** A write that failed although the node was active. */
  | { readonly kind: 'refused'; readonly writer: string; readonly code: string }

/** The milliseconds of a monotonic clock that all processes of one machine share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** The file to which a writer of the load appends. */
export function logPath(writer: string): string {
  return `load/${writer}.log`
}

const slots = 20

export function slotPath(writer: string, count: number): string {
  return `load/${writer}/${count % slots}.txt`
}
