// Where Postgres is, for pg: DB_* of the environment. A password may be in a file (DB_PASSWORD_FILE), which
// is read at each connection.

import { readFileSync } from 'node:fs';

const passwordFile = process.env.DB_PASSWORD_FILE;

export const database = {
    host: process.env.DB_HOST ?? '127.0.0.1',
    port: Number(process.env.DB_PORT ?? 5432),
    database: process.env.DB_NAME,
    user: process.env.DB_USER,
    password: passwordFile
        ? () => readFileSync(passwordFile, 'utf8').replace(/\n$/, '')
        : process.env.DB_PASSWORD,
};
