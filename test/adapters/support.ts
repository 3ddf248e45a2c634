import { randomBytes } from 'node:crypto'
import type { Clock } from '../../src/interfaces/clock.js'
import type { Random } from '../../src/interfaces/random.js'
import type { OwnIdentity } from '../../src/protocol/identity.js'

/** Real time. */
export const realClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, callback) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout),
}

export const realRandom: Random = {
  bytes: (count) => randomBytes(count),
  number: () => Math.random(),
}

export function identityOf(nodeId: string, more: Partial<OwnIdentity> = {}): OwnIdentity {
  return {
    nodeId,
    bootId: `${nodeId}-boot`,
    kind: 'member',
    cluster: 'test',
    libraryVersion: '0.1.0',
    features: [],
    fingerprints: {},
    ...more,
  }
}
