import { describe } from 'vitest'
import { everyPromiseHolds } from './seeds.js'

const machines = ['kill', 'powerOff', 'stopped', 'switchedOver', 'restored by journal']
const writes = ['put', 'append', 'patch', 'truncate', 'remove', 'update', 'transaction', 'blob']

describe('random schedules of failing machines and disks', () => {
  everyPromiseHolds('single', 8, [...machines, ...writes, 'freeze', 'suspend'])
  everyPromiseHolds('crashes', 8, [...machines, 'notSwitchedOver', 'restored by full'])
  everyPromiseHolds('disk', 17, [
    ...machines,
    ...['diskFull', 'failNextSync', 'slowDisk', 'flip', 'storageRecovered'],
  ])
})
