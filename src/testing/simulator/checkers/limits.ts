/** Promise 9: what is held in memory and on disk stays within its named limits. */
import { nodeDefaults } from '../../../node/options.js'
import type { NodeStatus } from '../../../node/status.js'
import { writerLimits } from '../../../replication/writer-types.js'
import type { Process } from '../machine.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

export const limits = (_world: World, report: Report): Checker => ({
  name: 'limits',
  observe(process: Process, { vaultBytes, role }: NodeStatus): void {
    if (vaultBytes > nodeDefaults.vaultBytesMax)
      report(`the vault of ${process.id} holds ${vaultBytes} bytes`)
    if (role !== 'active' || process.copy === undefined) return
    const { queuedBytes, queuedWrites } = process.runtime.writes.writer.status
    if (queuedBytes > writerLimits.queueBytesMax || queuedWrites > writerLimits.queueWritesMax) {
      report(`${process.id} queues ${queuedWrites} writes of ${queuedBytes} bytes`)
    }
  },
})
