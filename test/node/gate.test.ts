import { describe, expect, it, vi } from 'vitest'
import type { PromotionGate } from '../../src/index.js'
import { nodesOn } from './nodes.js'

const nodeOf = nodesOn()

/** Never answers, and keeps the signal that it was asked with. */
class SilentGate implements PromotionGate {
  signal: AbortSignal | undefined

  mayBecomeActive(_epoch: number, signal: AbortSignal): Promise<boolean> {
    this.signal = signal
    return new Promise(() => undefined)
  }
}

describe('the gate before the role', () => {
  it.each([
    ['a plain boolean', () => true],
    ['a promise', async () => true],
  ])('%s from the gate is an answer', async (_, answer) => {
    const mayBecomeActive = answer as () => Promise<boolean>
    const alpha = nodeOf('alpha', { gate: { mayBecomeActive } })
    await alpha.start()
    expect(alpha.role).toBe('active')
    expect(alpha.status().stuck).toBeUndefined()
  })

  it('one that throws synchronously is asked again, and status says why', async () => {
    let calls = 0
    const mayBecomeActive = (): Promise<boolean> => {
      calls += 1
      if (calls < 4) throw new Error('no lease')
      return Promise.resolve(true)
    }
    const alpha = nodeOf('alpha', { gate: { mayBecomeActive } })
    const errors: unknown[] = []
    alpha.on('error', (error) => errors.push(error))
    const started = alpha.start()
    await vi.waitFor(() => expect(alpha.status().stuck).toContain('no lease'))
    await started
    expect([alpha.role, calls, errors.length]).toEqual(['active', 4, 3])
    expect(alpha.status().stuck).toBeUndefined()
  })

  it('its signal aborts when another node is active', async () => {
    const gate = new SilentGate()
    const [alpha, beta] = [nodeOf('alpha', { gate }), nodeOf('beta')]
    const started = alpha.start()
    await vi.waitFor(() => expect(alpha.status().stuck).toContain('gate'))
    await beta.start()
    await started
    expect([alpha.role, beta.role]).toEqual(['standby', 'active'])
    expect(gate.signal?.aborted).toBe(true)
    expect(alpha.status().stuck).toBeUndefined()
  })

  it('its signal aborts when the node stops', async () => {
    const gate = new SilentGate()
    const alpha = nodeOf('alpha', { gate })
    alpha.start().catch(() => undefined)
    await vi.waitFor(() => expect(gate.signal).toBeDefined())
    await alpha.stop()
    expect(gate.signal?.aborted).toBe(true)
  })
})
