/** The signals that an application and a node give to much work at once. */
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import { HeldTenure } from '../../src/node/roles/tenure.js'

it('many writes with the signal of a tenure cause no leak and no warning of Node', async () => {
  const warnings: string[] = []
  const onWarning = ({ name }: Error): void => void warnings.push(name)
  process.on('warning', onWarning)
  try {
    const { signal, ...tenure } = heldTenure()
    let aborted = 0
    for (let write = 0; write < 50; write += 1) {
      signal.addEventListener('abort', () => {
        aborted += 1
      })
    }
    await turn()
    tenure.end()
    expect(aborted).toBe(50)
    expect(warnings).toEqual([])
  } finally {
    process.off('warning', onWarning)
  }
})

function heldTenure(): { readonly signal: AbortSignal; end(): void } {
  const tenure = new HeldTenure({ epoch: 1, nodeId: 'alpha', bootId: 'boot' })
  return { signal: tenure.signal, end: () => tenure.end(new HotspareError('NOT_ACTIVE')) }
}
