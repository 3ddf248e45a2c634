/** The interface of a checker of one promise: what it observes, and how it reports. */
import type { NodeLogEvent } from '../../../node/contract/events.js'
import type { NodeStatus } from '../../../node/report/status.js'
import type { Machine, Process } from '../machine/machine.js'
import type { RegisterChange } from '../machine/register.js'
import type { TapHooks } from '../machine/taps.js'
import type { ReadRecord, WriteRecord } from '../record/writes.js'

/** How a process ended. */
export type ProcessEnd = 'killed' | 'stopped'

/** The calls of `TapHooks`, with the process as the first argument. */
export type TapListener = {
  readonly [Name in keyof TapHooks]?: (
    process: Process,
    ...told: Parameters<TapHooks[Name]>
  ) => void
}

/**
 * A checker of one promise during a run. All methods are optional, and none of them may change the
 * world.
 */
export interface Checker {
  /** A short name for reports. */
  readonly name: string
  /** A node emitted an event. */
  event?(process: Process, event: NodeLogEvent): void
  /**
   * Called often for every living process, and at each of its events, with its status at that time.
   */
  observe?(process: Process, status: NodeStatus): void
  /** A change of the register was applied. */
  applied?(process: Process, change: RegisterChange, at: { epoch: number; seq: number }): void
  /** A write was settled. */
  settled?(write: WriteRecord, process: Process): void
  started?(process: Process): void
  /** Called before the process ends, while its state can still be read. */
  ending?(process: Process, how: ProcessEnd): void
  /** A machine runs again after it was frozen. */
  thawed?(machine: Machine, frozenMs: number): void
  /** A read was settled. */
  read?(read: ReadRecord): void
  /** Listeners for messages and disk calls. */
  readonly taps?: TapListener
  /** The faults are over and an operator has to act; nothing is repaired yet. */
  judge?(): void
  /**
   * The disk of a machine was replaced: its contents are lost, except those of the backup that was
   * restored.
   */
  replaced?(machine: Machine): void
  /** The faults are over, all nodes are back, one is active and all others are in sync with it. */
  quiet?(): Promise<void> | void
}

/** Reports that a promise was broken. */
export type Report = (message: string) => void
