/** What a checker of one promise is told, and how it reports. */
import type { NodeLogEvent } from '../../../node/contract/events.js'
import type { NodeStatus } from '../../../node/report/status.js'
import type { Machine, Process } from '../machine/machine.js'
import type { RegisterChange } from '../machine/register.js'
import type { TapHooks } from '../machine/taps.js'
import type { ReadRecord, WriteRecord } from '../record/writes.js'

/** How a process ended. */
export type ProcessEnd = 'killed' | 'stopped'

/** What a process sends and has its disk do, as `TapHooks` tells it, with the process first. */
export type TapListener = {
  readonly [Name in keyof TapHooks]?: (
    process: Process,
    ...told: Parameters<TapHooks[Name]>
  ) => void
}

/**
 * One promise, watched during a run. All of its methods are optional; none of them changes the
 * world.
 */
export interface Checker {
  /** A short name, for reports. */
  readonly name: string
  /** A node said something. */
  event?(process: Process, event: NodeLogEvent): void
  /**
   * Called often for every living process, and at each of its events, with what it says of itself
   * then.
   */
  observe?(process: Process, status: NodeStatus): void
  /** A change of the register was applied. */
  applied?(process: Process, change: RegisterChange, at: { epoch: number; seq: number }): void
  /** A write was answered. */
  settled?(write: WriteRecord, process: Process): void
  started?(process: Process): void
  /** Called before the process ends, while its state can still be read. */
  ending?(process: Process, how: ProcessEnd): void
  /** A machine goes on after it stood still. */
  thawed?(machine: Machine, frozenMs: number): void
  /** A read was answered. */
  read?(read: ReadRecord): void
  /** What goes over the wire and to the disk. */
  readonly taps?: TapListener
  /** The faults are over and an operator has to do something; nothing was repaired so far. */
  judge?(): void
  /**
   * A machine has another disk: what it held before is gone, but for what was in the backup that
   * was put back.
   */
  replaced?(machine: Machine): void
  /** The faults are over, all nodes are back, one is active and all others are in sync with it. */
  quiet?(): Promise<void> | void
}

/** Reports that a promise was broken. */
export type Report = (message: string) => void
