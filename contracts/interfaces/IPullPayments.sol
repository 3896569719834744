// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Payments that the payee fetches
/// @notice What a contract owes is credited to the account and waits there until the account withdraws it.
interface IPullPayments {
    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice Account {account} has no credit; there is nothing to withdraw.
    error NothingToWithdraw(address account);

    /// @notice Account {account} refused the payment of {amount} wei; the credit stays, let the account accept payments first.
    error PaymentRefused(address account, uint256 amount);

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice An account was credited.
    /// @param account Payee.
    /// @param amount In wei.
    event Credited(address indexed account, uint256 amount);

    /// @notice An account fetched its credit.
    /// @param account Payee.
    /// @param amount In wei.
    event Withdrawn(address indexed account, uint256 amount);

    /*//////////////////////////////////////////////////////////////
                               FUNCTIONS
    //////////////////////////////////////////////////////////////*/

    /// @notice Pay the sender its whole credit.
    /// @return amount In wei.
    function withdraw() external returns (uint256 amount);

    /// @notice The credit of an account.
    /// @param account Any account.
    /// @return amount In wei.
    function creditOf(address account) external view returns (uint256 amount);
}
