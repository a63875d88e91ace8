/* The scripts of lua/, embedded at build time by tools/embed. */
#ifndef RS_LUA_SCRIPTS_H
#define RS_LUA_SCRIPTS_H

#include "link/redis_link.h"

extern const struct lua_script lua_claim;
extern const struct lua_script lua_settle;
extern const struct lua_script lua_schedule;
extern const struct lua_script lua_drop;
extern const struct lua_script lua_keep;
extern const struct lua_script lua_sizes;
extern const struct lua_script lua_role;
extern const struct lua_script lua_absent;
extern const struct lua_script lua_after;
extern const struct lua_script lua_leases;
extern const struct lua_script lua_lookup;
extern const struct lua_script lua_repair;
extern const struct lua_script lua_retrieve;
extern const struct lua_script lua_mark;
extern const struct lua_script lua_paused;
extern const struct lua_script lua_pause;
extern const struct lua_script lua_retry;
extern const struct lua_script lua_forget;

#endif
