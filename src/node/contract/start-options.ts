/** The options of a start. */
import { HotspareError } from '../../errors.js'

/** Options of a start. */
export interface StartOptions {
  /**
   * Whether existing files in paths of synced classes become the beginning of the history. Default
   * false.
   */
  readonly adopt?: boolean
  /**
   * Whether this machine was replaced or lost its disk. The node then does not serve, however long
   * it waits, until it has been restored from a member that has the data and has followed an
   * active; its own copy does not count before. While it waits, `status().stuck` and the event
   * `holding` report it, and `start()` is pending; `takeOver()` ends the wait. Applies to this
   * start only. Default false.
   */
  readonly join?: boolean
  /** Aborts the start: the node is stopped, and the call rejects. */
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
