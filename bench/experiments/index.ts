import type { Experiment } from '../support/experiment.js'
import { failover } from './failover.js'
import { files } from './files.js'
import { idle } from './idle.js'
import { joinLarge } from './join-large.js'
import { joinMixed } from './join-mixed.js'
import { joinSmall } from './join-small.js'
import { rejoin } from './rejoin.js'
import { stream } from './stream.js'
import { switchover } from './switchover.js'
import { writeDisk } from './write-disk.js'
import { writeLatency } from './write-latency.js'
import { writeMemory } from './write-memory.js'

/** All experiments, in the order of `all`: those that fill the disk come last. */
export const experiments: readonly Experiment[] = [
  writeMemory,
  writeDisk,
  writeLatency,
  stream,
  failover,
  switchover,
  idle,
  files,
  rejoin,
  joinSmall,
  joinMixed,
  joinLarge,
]
