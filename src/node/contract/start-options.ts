/** How a node is started. */
import { HotspareError } from '../../errors.js'

/** Options of a start. */
export interface StartOptions {
  /**
   * Takes files that are already in paths of synced classes as the beginning of the history.
   * Default false.
   */
  readonly adopt?: boolean
  /**
   * This machine was replaced, or lost its disk: it serves nothing, however long it waits, before
   * it has been restored from a member that has the data and followed it once. Whatever its copy
   * holds counts for nothing until then. While it waits, `status().stuck` and the event `holding`
   * say so, and `start()` is pending; `takeOver()` is the way out. It holds for this start alone.
   * Default false.
   */
  readonly join?: boolean
  /** Gives the start up: the node is stopped, and the call rejects. */
  readonly signal?: AbortSignal
}

/** @throws `ABORTED`, `OPTION_INVALID` */
export function checkStart({ adopt, join, signal }: StartOptions, memberCount: number): void {
  if (signal?.aborted === true)
    throw new HotspareError('ABORTED', 'the start was given up', { cause: signal.reason })
  if (typeof join !== 'boolean' && join !== undefined)
    throw invalidJoin(`join is a ${typeof join}, wanted true or false`)
  if (join !== true) return
  if (adopt === true) {
    const what =
      'start({ join }) restores this node from a member, start({ adopt }) makes its files the first ones'
    throw invalidJoin(`${what}: give one of them`)
  }
  if (memberCount > 1) return
  throw invalidJoin(
    'start({ join }) needs another member to be restored from, and members lists none',
  )
}

function invalidJoin(message: string): HotspareError {
  return new HotspareError('OPTION_INVALID', message, { details: { option: 'join' } })
}
