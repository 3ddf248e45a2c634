import { describe, expect, it } from 'vitest'
import { nodesOn } from './nodes.js'

const nodeOf = nodesOn()

describe('the logger', () => {
  it('that throws withholds no event from the listeners', async () => {
    const logger = (): void => {
      throw new Error('the log is full')
    }
    const alpha = nodeOf('alpha', { logger })
    const roles: string[] = []
    alpha.on('role', ({ role }) => roles.push(role))
    await alpha.start()
    expect(roles).toEqual(['discovering', 'active'])
  })
})

describe('listeners', () => {
  it('one that throws withholds no event from the next one, and is reported as an error', async () => {
    const alpha = nodeOf('alpha')
    const thrown = new Error('the listener is broken')
    const roles: string[] = []
    const errors: unknown[] = []
    alpha.on('role', () => {
      throw thrown
    })
    alpha.on('role', ({ role }) => roles.push(role))
    alpha.on('error', (error) => errors.push(error))
    await alpha.start()
    expect(roles).toEqual(['discovering', 'active'])
    expect(errors).toEqual([thrown, thrown])
  })

  it('one for errors that throws is not called again', async () => {
    const alpha = nodeOf('alpha')
    let called = 0
    const broken = (): void => {
      called += 1
      throw new Error('the listener is broken')
    }
    alpha.on('role', broken)
    alpha.on('error', broken)
    await alpha.start()
    expect(called).toBe(4)
  })

  it('once calls once, and off removes only that listener', async () => {
    const alpha = nodeOf('alpha')
    const heard: string[] = []
    const first = (): void => void heard.push('first')
    const second = (): void => void heard.push('second')
    alpha.once('role', () => heard.push('once'))
    alpha.on('role', first).on('role', second)
    alpha.off('role', first)
    // It was never added.
    alpha.off('role', () => undefined)
    alpha.once('role', second).off('role', second)
    alpha.on('role', second)
    await alpha.start()
    expect(heard).toEqual(['once', 'second', 'second'])
  })

  it('a listener that is no function is refused', () => {
    const alpha = nodeOf('alpha')
    expect(() => alpha.on('role', undefined as never)).toThrow(TypeError)
  })
})
