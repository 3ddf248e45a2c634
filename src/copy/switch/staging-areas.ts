/** The areas for the data of a restore until the switch. */

import type { ObjectArea, ObjectStore } from '../../interfaces/object-store.js'
import { inBatches } from '../../util/in-batches.js'

/** The areas that restores write to. */
export const stagingAreas: readonly ObjectArea[] = ['staging', 'incoming']

/** An object in one of these areas. */
export interface Place {
  readonly area: ObjectArea
  readonly name: string
}

/**
 * The place of a staged file: in `incoming` under its path, unless it is an object of `staging`.
 */
export function placeOf(file: {
  readonly path: string
  readonly object: string | undefined
}): Place {
  const { object, path } = file
  return object === undefined ? { area: 'incoming', name: path } : { area: 'staging', name: object }
}

/** Makes objects in these places durable. */
export async function syncPlaces(objects: ObjectStore, places: readonly Place[]): Promise<void> {
  for (const area of stagingAreas) {
    const names = places.filter((place) => place.area === area).map(({ name }) => name)
    if (names.length > 0) await objects.sync(area, names)
  }
}

/** Objects that are removed in one call. */
const removedTogether = 4096

async function remove(
  objects: ObjectStore,
  area: ObjectArea,
  names: readonly string[],
): Promise<void> {
  for (const batch of inBatches(names, removedTogether)) await objects.remove(area, batch)
}

/**
 * Removes the objects of an area that are not wanted, durably against a crash, because whole
 * folders of `incoming` are moved into the tree.
 */
export async function keepOnly(
  objects: ObjectStore,
  area: ObjectArea,
  isWanted: (name: string) => boolean,
): Promise<void> {
  const names = (await objects.list(area)).map(({ name }) => name)
  const unwanted = names.filter((name) => !isWanted(name))
  if (unwanted.length === 0) return
  await remove(objects, area, unwanted)
  await objects.sync(area, unwanted)
}

/** Removes the data of all restores. */
export async function clearAreas(objects: ObjectStore): Promise<void> {
  for (const area of stagingAreas) {
    const names = (await objects.list(area)).map(({ name }) => name)
    await remove(objects, area, names)
  }
}
