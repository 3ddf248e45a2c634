/** The names of all events, for whoever gets one at run time. */
import type { NodeEvents } from './events.js'

const names: Readonly<Record<keyof NodeEvents, true>> = {
  role: true,
  failover: true,
  steppedDown: true,
  peerUp: true,
  peerDown: true,
  restoreStarted: true,
  restoreProgress: true,
  restored: true,
  standbyInSync: true,
  standbyLost: true,
  degraded: true,
  redundant: true,
  writersPaced: true,
  writersReleased: true,
  possibleLoss: true,
  waiting: true,
  unprovenStart: true,
  holding: true,
  outdated: true,
  activeUnreachable: true,
  splitBrain: true,
  vaulted: true,
  configMismatch: true,
  refused: true,
  duplicateId: true,
  storageFailed: true,
  storageRecovered: true,
  snapshotFailed: true,
  historyLost: true,
  skippedPath: true,
  skippedPaths: true,
  outsideChange: true,
  late: true,
  stuck: true,
  unstuck: true,
  error: true,
}

/** All names of events. */
export const eventNames: readonly string[] = Object.keys(names)
