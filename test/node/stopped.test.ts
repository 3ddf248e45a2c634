import { expect, it } from 'vitest'
import type { Clock, TimerHandle } from '../../src/index.js'
import { systemClock } from '../../src/node/contract/resolve-options.js'
import { memoryNetwork } from '../../src/transport/memory.js'
import { nodesOn } from './nodes.js'

const network = memoryNetwork({})
const nodeOf = nodesOn(network)

/** The clock of the machine, with the timers that are still to fire. */
function countingClock(): { readonly clock: Clock; readonly timers: Set<TimerHandle> } {
  const timers = new Set<TimerHandle>()
  const clock: Clock = {
    ...systemClock,
    setTimer: (delayMs, callback) => {
      const timer = systemClock.setTimer(delayMs, () => {
        timers.delete(timer)
        callback()
      })
      timers.add(timer)
      return timer
    },
    clearTimer: (timer) => {
      timers.delete(timer)
      systemClock.clearTimer(timer)
    },
  }
  return { clock, timers }
}

it('a stopped node leaves no timer that would keep its process alive', async () => {
  const { clock, timers } = countingClock()
  const [alpha, beta] = [nodeOf('alpha', { clock }), nodeOf('beta', { clock })]
  await alpha.start()
  await beta.start()
  await beta.inSync()
  const abandoned = alpha.transaction(async ({ files }) => {
    await files.write('files/a', 'x')
    await new Promise(() => undefined)
  })
  const ended = expect(abandoned).rejects.toMatchObject({ code: 'STOPPED' })
  await alpha.stop()
  await beta.stop()
  await ended
  expect([...timers]).toEqual([])
})
