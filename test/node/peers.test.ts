import { describe, expect, it, vi } from 'vitest'
import { RefusalLog } from '../../src/node/refusal-log.js'
import { memoryNetwork } from '../../src/transport/memory.js'
import { TestClock } from '../data/writer-support.js'
import { nodesOn } from './nodes.js'

const network = memoryNetwork({})
const nodeOf = nodesOn(network)

describe('two processes with one id', () => {
  it('whoever hears both of them names it once, with a code', async () => {
    const alpha = nodeOf('alpha')
    const beta = nodeOf('beta', { discoveryMs: 5_000, startupWaitMs: 5_000 })
    const told: unknown[] = []
    beta.on('duplicateId', (event) => told.push(event))
    await alpha.start()
    await beta.start()
    await beta.inSync()
    const twin = nodeOf('alpha', { transport: network.transport('elsewhere.test') })
    await twin.start()
    await vi.waitFor(() => expect(told).not.toEqual([]), { timeout: 5_000 })
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(told).toMatchObject([{ peer: 'alpha', code: 'DUPLICATE_ID' }])
  })

  it('a process that replaced another is no duplicate', async () => {
    const beta = nodeOf('beta')
    const told: unknown[] = []
    beta.on('duplicateId', (event) => told.push(event))
    await beta.start()
    for (let starts = 0; starts < 3; starts += 1) {
      const alpha = nodeOf('alpha')
      await alpha.start()
      await alpha.stop()
    }
    expect(told).toEqual([])
  })
})

describe('refusals', () => {
  it('SES-25: another secret is told once on each side, and says what it may be', async () => {
    const alpha = nodeOf('alpha', { secret: 'the secret of all members' })
    const beta = nodeOf('beta', { secret: 'not the secret of all of them' })
    const told: string[] = []
    for (const each of [alpha, beta]) {
      each.on('refused', ({ code, reason }) => {
        told.push(code)
        expect(reason).toMatch(/secret.*cluster's name/)
      })
    }
    await Promise.all([alpha.start(), beta.start()])
    await new Promise((resolve) => setTimeout(resolve, 500))
    // Each is refused by the other one, and refuses it.
    expect(told).toEqual(Array(4).fill('HANDSHAKE_FAILED'))
  })

  it('are told once a minute each, and few of them, with the number of the others', () => {
    const clock = new TestClock()
    const log = new RefusalLog(clock)
    expect([log.take('a'), log.take('a'), log.take('b'), log.take('a')]).toEqual([
      0,
      undefined,
      1,
      undefined,
    ])
    for (let at = 0; at < 100; at += 1) log.take(`stranger ${at}`)
    clock.advance(59_999)
    expect(log.take('late')).toBeUndefined()
    clock.advance(1)
    expect(log.take('late')).toBe(100 - 14 + 1)
  })
})
