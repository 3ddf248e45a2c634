/** The writes and reads of the workload, and their outcomes. */
import type { AckLevel, Durability } from '../../../policy/class-options.js'
import type { Receipt } from '../../../replication/write/types.js'
import type { Process } from '../machine/machine.js'

/** What a write does. */
export type WriteAction =
  | {
      readonly kind: 'put'
      readonly path: string
      readonly bytes: Uint8Array
      readonly mode?: number
    }
  | { readonly kind: 'append'; readonly path: string; readonly bytes: Uint8Array }
  | {
      readonly kind: 'patch'
      readonly path: string
      readonly offset: number
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'truncate'; readonly path: string; readonly size: number }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'update'; readonly name: string; readonly fails: boolean }
  | {
      readonly kind: 'transaction'
      readonly puts: readonly { path: string; bytes: Uint8Array }[]
      readonly name: string
      /** A path that the transaction reads first. */
      readonly reads?: string
    }

/** How a write ended. */
export type WriteOutcome =
  /** Unsettled so far, or its process died first. */
  | { readonly kind: 'open' }
  | { readonly kind: 'acknowledged'; readonly receipt: Receipt }
  /** It certainly did not happen. */
  | { readonly kind: 'refused'; readonly code: string }
  /** It may have happened or not. */
  | { readonly kind: 'unknown'; readonly code: string }

/** One write. */
export interface WriteRecord {
  readonly id: number
  /** The process that it was submitted to. */
  readonly process: Process
  readonly action: WriteAction
  readonly ack: AckLevel
  readonly durability: Durability
  readonly submittedMs: number
  settledMs: number | undefined
  outcome: WriteOutcome
}

/** One read of a whole file by the application. */
export interface ReadRecord {
  readonly process: Process
  readonly path: string
  readonly begunMs: number
  /** The role of the process when the read began. */
  readonly role: string
  /** The file's bytes; undefined when there was no file. */
  readonly bytes: Uint8Array | undefined
}

/** Codes after which a write certainly did not happen. */
const refusals: ReadonlySet<string> = new Set([
  'NOT_ACTIVE',
  'NOT_STARTED',
  'STOPPED',
  'QUEUE_FULL',
  'FILE_NOT_FOUND',
  'PATH_CONFLICT',
  'PATH_UNCLAIMED',
  'TX_CONFLICT',
  'TX_CLOSED',
  'STORAGE_FULL',
])

/** The outcome of a write that rejected with this error. */
export function outcomeOf(error: unknown): WriteOutcome {
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code !== 'string') return { kind: 'unknown', code: String(error) }
  return refusals.has(code) ? { kind: 'refused', code } : { kind: 'unknown', code }
}

/** The number of the write, with which every content of the workload begins. */
export function labelOf(bytes: Uint8Array): number | undefined {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 16))
  const found = /^#(\d+);/.exec(text)
  return found === null ? undefined : Number(found[1])
}

/** The content that an action puts at a path; undefined if it puts none. */
export function contentPut(action: WriteAction, path: string): Uint8Array | undefined {
  if (action.kind === 'put') return action.path === path ? action.bytes : undefined
  if (action.kind !== 'transaction') return undefined
  return action.puts.find((put) => put.path === path)?.bytes
}

/** The paths that an action touches. */
export function pathsOf(action: WriteAction): readonly string[] {
  if (action.kind === 'update') return []
  if (action.kind === 'transaction') return action.puts.map(({ path }) => path)
  return [action.path]
}
