// Modules are resolved from here, where zod 3 is.
export const load = async name => ({ sdk: await import(name), helpers: await import(`${name}/helpers/zod`), z: (await import('zod')).z });
