-- Credits: an account's balance is held for a job that runs, in fractions of a credit.
CREATE TABLE credit_accounts (
    tenant text NOT NULL,
    account text NOT NULL,
    balance numeric(14, 4) NOT NULL CHECK (balance >= 0),
    on_hold numeric(14, 4) NOT NULL DEFAULT 0 CHECK (on_hold >= 0),
    credits numeric(14, 4) NOT NULL,
    PRIMARY KEY (tenant, account),
    CHECK (balance + on_hold = credits)
);

CREATE TABLE credit_holds (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant text NOT NULL,
    account text NOT NULL,
    amount numeric(14, 4) NOT NULL CHECK (amount >= 0),
    captured_at timestamptz,
    voided_at timestamptz,
    expires_at timestamptz NOT NULL,
    FOREIGN KEY (tenant, account) REFERENCES credit_accounts
);
CREATE INDEX credit_holds_open ON credit_holds (expires_at)
    WHERE captured_at IS NULL AND voided_at IS NULL;
