/** Promise 9: the use of memory and disk stays within its named limits. */

import { nodeDefaults } from '../../../node/contract/options.js'
import type { NodeStatus } from '../../../node/report/status.js'
import { frameTypes } from '../../../replication/frame-types.js'
import { writerLimits } from '../../../replication/write/types.js'
import type { Process } from '../machine/machine.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

/**
 * Above this many queued bytes a connection reports that it is full, so at most one more frame may
 * follow.
 */
const sendBytesHigh = 512 * 1024
const headBytes = 64 * 1024

/**
 * The most bytes that may be queued on a connection after a frame of this type: entries and
 * messages are short, answers fill a frame.
 */
function queuedBytesMax(type: number): number {
  const one = type === frameTypes.answer ? nodeDefaults.frameBytesMax : writerLimits.batchBytesMax
  return sendBytesHigh + one + headBytes
}

export const limits = (_world: World, report: Report): Checker => {
  const told = new Set<string>()
  return {
    name: 'limits',
    observe(process: Process, { vaultBytes, role }: NodeStatus): void {
      const { vaultBytesMax = nodeDefaults.vaultBytesMax } = process.choices
      if (vaultBytes > vaultBytesMax) report(`the vault of ${process.id} holds ${vaultBytes} bytes`)
      if (role !== 'active' || process.copy === undefined) return
      const { writer } = process.runtime.writes
      if (writer === undefined) return
      const { queuedBytes, queuedWrites } = writer.status
      if (queuedBytes > writerLimits.queueBytesMax || queuedWrites > writerLimits.queueWritesMax) {
        report(`${process.id} queues ${queuedWrites} writes of ${queuedBytes} bytes`)
      }
    },
    taps: {
      queued({ id }: Process, to: string, bytes: number, type: number): void {
        const max = queuedBytesMax(type)
        if (bytes <= max || told.has(`${id} ${to}`)) return
        told.add(`${id} ${to}`)
        report(`${bytes} bytes wait on a connection from ${id} to ${to}, ${max} are the most`)
      },
    },
  }
}
